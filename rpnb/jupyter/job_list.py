"""The worker's jobs below `%runpod_status`: a table; where there are widgets, one to choose."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import RpnbError
from ..session.history import RUNNING, PastJob
from ..session.pretty import span
from . import display, jobs
from .form import FormScreen

if TYPE_CHECKING:
    from .notebook import Notebook

_MOST = 8


def show_jobs(notebook: Notebook, known: Sequence[PastJob]) -> None:
    """Draw the last jobs; nothing where there is none."""
    from IPython.display import display as publish

    recent = list(reversed(known))[:_MOST]
    if not recent:
        return
    hint = f"`%runpod_run --attach {recent[0].name}` shows one from its start"
    text = "\n".join([display.table([row(job) for job in recent]), hint])
    if getattr(notebook.shell, "kernel", None) is None:
        print(text)
        return
    bundle = JobList(notebook, recent).widget._repr_mimebundle_()
    bundle = dict(bundle[0] if isinstance(bundle, tuple) else bundle or {})
    publish({**bundle, "text/plain": text}, raw=True)  # type: ignore[no-untyped-call]


def row(job: PastJob) -> tuple[str, str, str]:
    """Return a job's columns: its name, its status, and since when."""
    ago = span(time.time() - job.at)
    return f"job {job.name}", job.status, f"for {ago}" if job.status == RUNNING else f"{ago} ago"


class JobList:
    """The last jobs to choose from; the chosen one's output comes below, from its start."""

    def __init__(self, notebook: Notebook, recent: Sequence[PastJob]) -> None:
        import ipywidgets as widgets

        self._notebook = notebook
        named = [("  ".join(row(job)), job) for job in recent]
        self._choice = widgets.Dropdown(options=named, description="jobs")
        self._button = widgets.Button(description="Show")
        self._button.on_click(lambda _button: self.show())
        self._screen = FormScreen()
        line = widgets.HBox([self._choice, self._button])
        self.widget = widgets.VBox([line, self._screen.widget])

    def show(self) -> threading.Thread:
        """Show the chosen job on a thread; returns at once."""
        self._button.disabled = True
        self._screen.clear()
        thread = threading.Thread(target=self._work, name="rpnb job list", daemon=True)
        thread.start()
        return thread

    def _work(self) -> None:
        try:
            jobs.watch_past(self._notebook, self._choice.value, self._screen)
        except RpnbError as error:
            self._screen.line((f"{type(error).__name__}: {error}",))
        except Exception as error:  # noqa: BLE001 - nobody looks into the log of a callback
            self._screen.line((f"a fault in rpnb: {type(error).__name__}: {error}",))
        finally:
            self._screen.settle()
            self._button.disabled = False


def find(known: Sequence[PastJob], wanted: str) -> PastJob | None:
    """Return the newest job whose request begins so, or whose id this is."""
    fits = [job for job in known if job.request.startswith(wanted) or job.id == wanted]
    return fits[-1] if fits and wanted else None


def names(known: Sequence[PastJob]) -> str:
    """Return the jobs' names for a sentence: "7f3a, 9c01", or "none"."""
    return ", ".join(job.name for job in known) or "none"
