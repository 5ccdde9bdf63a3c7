"""The `rpnb` command."""

from __future__ import annotations

import typer

from .. import __version__
from .export import export
from .ps import ps
from .run import run
from .stop import stop
from .test import test

app = typer.Typer(
    name="rpnb",
    help="Develop RunPod serverless handlers in a notebook; run, test and export them from here.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for _command in (run, test, export, ps, stop):
    app.command()(_command)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version."
    ),
) -> None:
    pass


def main() -> None:
    """Run the command line and exit with its code."""
    app()
