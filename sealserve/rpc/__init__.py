"""The gRPC face: services, interceptors, health and the server that carries them."""
