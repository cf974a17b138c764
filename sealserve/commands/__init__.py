"""What each command of the command line does, one file a noun. `cli.py` puts them together."""
