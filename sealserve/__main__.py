"""`python -m sealserve`: the same as the `sealserve` command."""

from sealserve.cli.app import main

if __name__ == "__main__":
    main()
