"""The OpenAI-compatible HTTP API of `serve`: the same answers, admission, budget and authorisation as over gRPC."""
