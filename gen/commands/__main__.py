"""`python -m gen.commands`: the command line without the installed script."""

from gen.commands import main

if __name__ == "__main__":
    main()
