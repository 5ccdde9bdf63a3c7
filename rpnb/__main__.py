"""`python -m rpnb` is the `rpnb` command."""

from rpnb.cli.main import main

main()
