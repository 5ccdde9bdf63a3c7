"""`python -m rpnb` is the `rpnb` command."""

from .cli.main import main

main()
