"""Models in processes of their own: the server's end and the child's, which speak over two Unix socket pairs."""
