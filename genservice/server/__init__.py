"""The gRPC server: thin services over the engine, and the HTTP port for probes and metrics."""
