"""The engine: admission, queue, scheduler and workers' ends. It knows rows and callables, not gRPC."""
