"""One file for each gRPC service: checks what came in, calls what does the work, converts what comes out."""
