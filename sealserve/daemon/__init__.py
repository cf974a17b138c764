"""The processes: serve, learn, web, and the supervisor that keeps them alive."""
