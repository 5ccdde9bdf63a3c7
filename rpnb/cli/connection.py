"""Attach to the worker of the command line, beside the notebook's own."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..session.session import Session
    from ..transport.stream import Transport
    from .progress import Progress


@dataclass(frozen=True)
class Connection:
    """Where to connect and how, as given on the command line; None is rpnb's choice."""

    target: str | None = None
    accept_key: str | None = None
    python: str | None = None
    gpu: str | None = None


@contextlib.contextmanager
def connected(
    connection: Connection, path: Path, *, progress: Progress, keep: bool = False
) -> Iterator[Session]:
    """Give a session on the worker `NAME#cli`; stop that worker at the end unless `keep`."""
    from ..session.names import worker_name
    from ..session.session import connect

    with progress.working("connecting"):
        session = connect(
            connection.target,
            name=f"{worker_name(path)}#cli",
            path=path,
            python=connection.python,
            gpu=connection.gpu,
            accept_key=connection.accept_key,
            ask=_asking(progress),
            ask_secret=_asking_secret(progress),
            on_progress=progress.now,
        )
    for note in session.notes:
        progress.line(note)
    try:
        yield session
    finally:
        if not keep:
            _stop(session)
        session.close()


def _stop(session: Session) -> None:
    try:
        session.stop()
    except AgentError:
        # The worker of another `rpnb run` that is at work is not this one's to end.
        if not session.driver:
            raise


@contextlib.contextmanager
def reached(connection: Connection, *, progress: Progress) -> Iterator[Transport]:
    """Give a transport to the target, for asking its agent; attaches to no worker."""
    from ..session.target import default_target
    from ..transport import open_transport

    target = connection.target or default_target()
    with progress.working("connecting"):
        transport = open_transport(
            target,
            ask=_asking(progress),
            accept_key=connection.accept_key,
            ask_secret=_asking_secret(progress),
            tell=progress.now,
        )
    try:
        yield transport
    finally:
        transport.close()


def _asking(progress: Progress) -> Callable[[str], bool] | None:
    def ask(question: str) -> bool:
        with progress.paused():
            return typer.confirm(question, err=True)

    return ask if sys.stdin.isatty() else None


def _asking_secret(progress: Progress) -> Callable[[str], str | None] | None:
    import getpass

    def ask(question: str) -> str:
        with progress.paused():
            return getpass.getpass(question)

    return ask if sys.stdin.isatty() else None
