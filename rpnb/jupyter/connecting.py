"""Connect, look, and let go: between this notebook and its worker, all but running."""

from __future__ import annotations

import atexit
import os
import time
from typing import TYPE_CHECKING, Any

from ..errors import BadInput, BadTarget, CannotReach
from ..session.history import RUNNING
from . import lines
from .memory import for_worker, worker_of
from .notebook import Notebook, is_headless, is_unattended
from .screen import CellScreen

if TYPE_CHECKING:
    from ..program.options import Options
    from ..session.session import Session


def connect(notebook: Notebook, options: Options) -> None:
    """Attach to a worker on the target and say what it is; ends an earlier connection.

    Raises:
        TargetError: there is no target, or it cannot be reached or used.
    """
    screen = CellScreen(notebook.shell)
    began = time.monotonic()
    session = _open(notebook, options, screen)
    if notebook.session is not None:
        _replace(notebook.session, session)
    notebook.adopt(session)
    if not session.driver:
        # A worker that was stopped, or idle for long, took them along.
        given = notebook.secrets.get((session.target.text, session.worker))
        if given:
            session.set_env(given)
    _announce(notebook, session, screen, time.monotonic() - began)


def attached(notebook: Notebook) -> Session:
    """Return the notebook's session, connecting first where the target is plain.

    Raises:
        TargetError: no target is named anywhere, or it cannot be reached.
    """
    from ..program.options import parse

    if notebook.session is None:
        connect(notebook, parse("runpod_connect", ""))
    if notebook.session is None:
        raise CannotReach("there is no connection: run %runpod_connect")
    return notebook.session


def disconnect(notebook: Notebook) -> None:
    """Let go of the worker, which stays warm; say what still costs money."""
    session = _leave(notebook)
    if session is None:
        print("not connected")
        return
    answer = session.ask()
    session.close()
    line = lines.disconnected(answer.waits if answer is not None else None, _pod(session))
    CellScreen(notebook.shell).lead(line)


def stop(notebook: Notebook, options: Options) -> None:
    """End the worker and free the GPU; `--pod` is refused where the target is no pod."""
    session = attached(notebook)
    if options.has("pod"):
        message = f"{session.target.label} is no pod that rpnb can stop: end it where you rented it"
        raise BadInput(message, options.line, options.line.find("--pod"))
    # Before it lets go: a worker that another notebook drives is not stopped.
    session.stop()
    _leave(notebook)
    pod = _pod(session)
    costs = f"{pod} still runs: %runpod_stop --pod" if pod else ""
    CellScreen(notebook.shell).lead((session.target.label, "worker stopped", costs))


def restart(notebook: Notebook) -> None:
    """Give the program a new worker; it is rebuilt at the next run."""
    session = attached(notebook)
    session.restart()
    notebook.renewed()
    line = (session.target.label, "new worker", "the program is rebuilt at the next run")
    CellScreen(notebook.shell).lead(line)


def _open(notebook: Notebook, options: Options, screen: CellScreen) -> Session:
    from ..session.session import connect as open_session

    name = options.text("name") or _worker(notebook)
    session = open_session(
        _target(notebook, options, name),
        name=name,
        path=notebook.path or notebook.folder / "notebook",
        python=options.text("python"),
        gpu=options.text("gpu"),
        sdk=options.text("sdk"),
        keep=options.has("keep"),
        accept_key=options.text("accept-key"),
        ask=_ask(notebook.shell),
        ask_secret=ask_secret(notebook.shell),
        on_progress=lambda text: screen.progress((text,)),
    )
    if is_headless():
        # The command line's worker is not the notebook's own, and ends with it.
        atexit.register(session.stop)
    return session


def _replace(old: Session, new: Session) -> None:
    """End the earlier connection; what it drove the new one drives."""
    old.close()
    if not old.driver and (old.target.text, old.worker) == (new.target.text, new.worker):
        new.driver = ""


def _worker(notebook: Notebook) -> str:
    from ..session.names import new_name, worker_name

    if notebook.path is None:
        notebook.worker = notebook.worker or new_name("ipython")
        return notebook.worker
    name = worker_name(notebook.path)
    if is_headless():
        return f"{name}#cli"
    return worker_of(notebook.path, name, notebook.page.ids)


def _target(notebook: Notebook, options: Options, worker: str) -> str:
    from ..session.target import default_target

    overruled = os.environ.get("RPNB_TARGET") if is_headless() else None
    named = overruled or options.word
    if named:
        return named
    try:
        return default_target(notebook.folder)
    except BadTarget:
        last = for_worker(worker).target
        if last is None:
            raise
        return last


def _ask(shell: Any) -> Any:
    """A question in the cell; None where nobody can answer (nbclient, the command line)."""
    if is_unattended(shell):
        return None

    def ask(question: str) -> bool:
        try:
            return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
        except EOFError:  # a pipe instead of a person
            return False

    return ask


def ask_secret(shell: Any) -> Any:
    """Return a question whose answer is not shown; None where nobody can answer it."""
    import getpass

    return getpass.getpass if _ask(shell) is not None else None


def _announce(notebook: Notebook, session: Session, screen: CellScreen, seconds: float) -> None:
    target = session.target.label
    screen.lead(lines.connected(target, session.info, seconds))
    for note in session.notes:
        screen.line((target, note))
    if notebook.path is None:
        screen.line((target, f"worker {session.worker}", f"again: --name {session.worker}"))
    if session.driver:
        screen.line(lines.driven(target, session.driver))
    if notebook.cells.from_before:
        labels = [
            f"{cell.kind} {cell.name}".strip()
            for cell in notebook.cells
            if cell.id in notebook.cells.from_before
        ]
        screen.line(lines.adopted(target, labels, notebook.kept))
    for news in notebook.cells.told():
        screen.line((target, news))
    unseen = [job for job in session.jobs if not notebook.memory.has_seen(job.request)]
    running = [job for job in unseen if job.status == RUNNING]
    finished = [job for job in unseen if job.status != RUNNING]
    if running:
        screen.line(lines.still_running(target, running[-1]))
    if finished:
        screen.line(lines.finished_meanwhile(target, finished))
        for job in finished:
            notebook.memory.saw(job.request)
    if notebook.ran_here:
        cells, again = ", ".join(notebook.ran_here), "it" if len(notebook.ran_here) == 1 else "them"
        screen.line((target, f"{cells} ran here, before %load_ext rpnb: run {again} again"))
        notebook.ran_here.clear()


def _leave(notebook: Notebook) -> Session | None:
    session, notebook.session = notebook.session, None
    notebook.kept = []
    return session


def _pod(session: Session) -> str | None:
    return session.target.label if session.target.text.startswith("runpod:") else None
