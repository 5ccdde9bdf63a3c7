"""The `rpnb` command: one module for each subcommand, thin over the rooms below."""
