"""What processes of the daemon ask of the machine: what its processor can do, and how much of it they get."""
