"""The `rpnb` command."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Callable
from typing import NoReturn

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
_COMMANDS: dict[Callable[..., None], str] = {
    run: "Run the handler on inputs, in one warm worker.",
    test: "Execute whole notebooks, as CI would.",
    export: "Write, check or prove a notebook's handler.py.",
    ps: "List the workers on a target.",
    stop: "End workers on a target.",
}
for _command, _summary in _COMMANDS.items():
    app.command(short_help=_summary)(_command)


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


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    code: object = 0
    try:
        app()
    except SystemExit as ended:
        code = ended.code
    # Without tearing the interpreter down: under load an SSH thread of paramiko's that was
    # still inside OpenSSL crashed it there, 2 of about 40 times, when all was said and done.
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else code is not None)
