"""The door in a checkout: `python cli.py run RECIPE` is what the installed `sluice run RECIPE` does."""

from gen.commands import main

if __name__ == "__main__":
    main()
