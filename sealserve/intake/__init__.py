"""Documents coming in: received, read, screened, kept. Nothing that is sent is ever dropped without a trace."""
