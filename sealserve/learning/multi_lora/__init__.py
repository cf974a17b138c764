"""The training process: several adapters in one pass over a frozen base. The only owner of torch."""
