"""What processes of the daemon ask of the operating system."""
