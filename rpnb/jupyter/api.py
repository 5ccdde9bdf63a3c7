"""`rpnb.run` and `rpnb.stream` in a notebook: the program's handler, from ordinary Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import NoHandler
from . import jobs
from .connecting import attached
from .inputs import whole_job
from .interrupt import own_lines
from .running import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..session.result import Result
    from ..session.run import Run
    from .notebook import Notebook


def run(job: Any, *, timeout: float | None = None) -> Result:
    """Run this notebook's handler on one input, or one whole job; return what came of it.

    Does not raise for what the handler did: look at `result.ok`.

    Raises:
        NoHandler: the notebook has none yet, or this is no notebook with rpnb loaded.
        RemoteError: a set-up step raised.
    """
    from .screen import CellScreen

    with own_lines():
        notebook = _active()
        program, session = notebook.with_handler(), attached(notebook)
        whole, _ = whole_job(job)
        request = session.submit(program, job=whole, timeout=timeout)
        return jobs.watch_quietly(notebook, request, whole, CellScreen(notebook.shell))


def stream(job: Any, *, timeout: float | None = None) -> Iterator[Any]:
    """Yield the chunks of this notebook's generator handler; leaving the loop cancels the job.

    Raises:
        NoHandler: the notebook has none yet, or this is no notebook with rpnb loaded.
        RemoteError: a set-up step or the handler raised.
    """
    with own_lines():
        notebook = _active()
        program, session = notebook.with_handler(), attached(notebook)
        whole, _ = whole_job(job)
        request = session.submit(program, job=whole, timeout=timeout)
    return _chunks(notebook, request)


def _chunks(notebook: Notebook, request: Run) -> Iterator[Any]:
    from ..session.away import warner
    from ..session.session import streamed

    outcome, see = Outcome(notebook.target), warner(notebook.target)

    def note(update: Any) -> None:
        from ..session.session import raised
        from ..session.updates import Failed, Finished, LinkChanged, Synced

        if isinstance(update, Finished):
            notebook.memory.saw(request.request)
        if isinstance(update, Failed):
            raise raised(update)
        if isinstance(update, LinkChanged):
            see(update)
        if isinstance(update, Synced):
            outcome.synced = update
            jobs.settle(notebook, outcome, request.request)

    with own_lines():
        yield from streamed(request, note)


def _active() -> Notebook:
    """The notebook of this IPython shell."""
    from IPython.core.getipython import get_ipython

    from .extension import notebook_of

    notebook = notebook_of(get_ipython())
    if notebook is None:
        raise NoHandler(
            "rpnb.run works in a notebook after %load_ext rpnb; "
            "in a script: with rpnb.connect(target) as session: session.run(job, handler=…)"
        )
    return notebook
