"""`python -m genservice`: the command line."""

from genservice.cli.main import main

if __name__ == "__main__":
    main()
