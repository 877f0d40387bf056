"""The whole directory in one process: where the way to the microservices starts."""
