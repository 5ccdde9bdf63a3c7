"""How a command ends: its exit code, and an error as one plain sentence."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from typing import TYPE_CHECKING, NoReturn, ParamSpec

import typer

from ..errors import RpnbError

if TYPE_CHECKING:
    from collections.abc import Callable

FAILED = 1  # a job or a cell failed; the file differs, or is not proved
UNABLE = 2  # the program could not be built, or the target not reached
INTERRUPTED = 130  # 128 + SIGINT, as a shell reports it

_Given = ParamSpec("_Given")


def plainly(command: Callable[_Given, int]) -> Callable[_Given, None]:
    """Return the command so that it exits with its own code, and with 2 for an error.

    An error is one sentence on stderr; `RPNB_DEBUG=1` shows its traceback, too.
    """

    @functools.wraps(command)
    def run(*args: _Given.args, **kwargs: _Given.kwargs) -> None:
        try:
            code = command(*args, **kwargs)
        except (RpnbError, OSError) as error:
            _exit(str(error), UNABLE)
        except KeyboardInterrupt:
            _exit("interrupted", INTERRUPTED)
        except typer.Exit:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of rpnb's own is one sentence, too
            _exit(
                f"a fault in rpnb: {type(error).__name__}: {error} (RPNB_DEBUG=1 shows where)",
                UNABLE,
            )
        raise typer.Exit(code)

    return run


def _exit(text: str, code: int) -> NoReturn:
    if os.environ.get("RPNB_DEBUG"):
        traceback.print_exc()
    print(f"rpnb: {text}", file=sys.stderr)
    raise typer.Exit(code)
