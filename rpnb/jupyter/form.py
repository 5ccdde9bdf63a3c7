"""The form below a handler cell: fields, a Run button that never blocks, the result below.

Only drawing: what the fields are and how their values become an input is
`program.fields`. A cell that runs would block the kernel, so a press starts a
thread; it talks to the page by traits alone, which works from a thread.
"""

from __future__ import annotations

import html
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import RpnbError
from ..program.fields import REQUIRED, Field, to_input
from ..session import pretty
from ..session.logs import Lost, Piece, Tail, hole
from . import display, jobs, lines
from .inputs import whole_job

if TYPE_CHECKING:
    from ..session.run import Run
    from .notebook import Notebook

# Text reaches the page at most this often: each change sends the whole text.
_REFRESH_SECONDS = 0.1
_LONGEST_LOG = 100_000
# A longer default (a picture as base64) is not put into the page: the field says that it is kept.
_LONGEST_DEFAULT = 2_000


def text_form(fields: Sequence[Field]) -> str:
    """Return the form as one line of text, for where there are no widgets."""
    named = [
        f"{each.name} ({'required' if each.required else _short(each.default)})" for each in fields
    ]
    return f"input: {', '.join(named)}" if named else "input: any JSON"


def _short(default: Any) -> str:
    text = repr(default)
    return text if len(text) <= 40 else f"{text[:20]}…"


def show_form(notebook: Notebook, fields: Sequence[Field]) -> None:
    """Draw the form; as text too, for pages without widgets. A terminal gets none."""
    from IPython.display import display as publish

    if getattr(notebook.shell, "kernel", None) is None:
        return
    form = Form(notebook, fields)
    bundle = form.widget._repr_mimebundle_()
    bundle = dict(bundle[0] if isinstance(bundle, tuple) else bundle or {})
    publish({**bundle, "text/plain": text_form(fields)}, raw=True)  # type: ignore[no-untyped-call]


class Form:
    """One drawn form; `widget` is what the page shows."""

    def __init__(self, notebook: Notebook, fields: Sequence[Field]) -> None:
        import ipywidgets as widgets

        self._notebook, self._fields = notebook, fields
        self._run: Run | None = None
        # Of Cancel, since Run was pressed.
        self._presses = 0
        self._inputs = {each.name: _widget(widgets, each) for each in fields}
        self._whole = None if fields else widgets.Textarea(description="input", value="{}")
        self._button = widgets.Button(description="Run", button_style="primary", icon="play")
        self._cancel = widgets.Button(description="Cancel", disabled=True)
        self._screen = FormScreen()
        self._button.on_click(lambda _button: self.start())
        self._cancel.on_click(lambda _button: self.cancel())
        parts = [*self._inputs.values(), *([self._whole] if self._whole else [])]
        buttons = widgets.HBox([self._button, self._cancel])
        self.widget = widgets.VBox([*parts, buttons, self._screen.widget])
        self.widget.add_class("rp-form")

    def start(self) -> threading.Thread:
        """Run the form's input on a thread; returns at once."""
        self._button.disabled, self._cancel.disabled = True, False
        self._presses = 0
        self._screen.clear()
        thread = threading.Thread(target=self._work, name="rpnb form", daemon=True)
        thread.start()
        return thread

    def cancel(self) -> None:
        """Cancel the job that this form runs, as Interrupt does: a second press forces it."""
        self._presses += 1
        self._pass_on()

    def _pass_on(self) -> None:
        """Tell the run of the presses so far; one that has not begun is told later."""
        run = self._run
        if run is not None and self._presses:
            run.cancel(force=self._presses > 1)

    def _work(self) -> None:
        # Nobody looks into the log for a callback's traceback: whatever it is, it is shown.
        try:
            self._job()
        except RpnbError as error:
            self._screen.line((f"{type(error).__name__}: {error}",))
        except Exception as error:  # noqa: BLE001 - see above
            self._screen.line((f"a fault in rpnb: {type(error).__name__}: {error}",))
        finally:
            self._run = None
            self._screen.settle()
            self._button.disabled, self._cancel.disabled = False, True

    def _job(self) -> None:
        from .connecting import attached

        notebook = self._notebook
        value = self._value()
        program, session = notebook.with_handler(), attached(notebook)
        job, _ = whole_job(value)
        self._screen.lead((notebook.target, "handler", "running"), final=False)
        if self._presses:
            self._screen.lead(lines.cancelled(notebook.target, 0, notebook.kept))
            return
        self._run = session.submit(program, job=job)
        self._pass_on()
        jobs.watch_job(notebook, self._run, job, "the form", self._screen)
        notebook.remember(job)

    def _value(self) -> Any:
        if self._whole is not None:
            from ..program.inputs import parse_json

            return parse_json(self._whole.value, "the input is not JSON")
        typed = {each.name: self._inputs[each.name].value for each in self._fields}
        kept = {e.name: e.default for e in self._fields if _is_long(e) and not typed[e.name]}
        return to_input(self._fields, {**typed, **kept})


class FormScreen:
    """The output below a form; every method may be called from a thread."""

    def __init__(self) -> None:
        import ipywidgets as widgets

        self._lead, self._log, self._output = widgets.HTML(), widgets.HTML(), widgets.Output()
        self.widget = widgets.VBox([self._lead, self._log, self._output])
        self._end, self._sent = Tail(_LONGEST_LOG), 0.0

    def clear(self) -> None:
        """Empty it for the next run."""
        self._end = Tail(_LONGEST_LOG)
        self._lead.value = self._log.value = ""
        self._output.outputs = ()

    def lead(self, line: lines.Line, *, final: bool = True) -> None:  # noqa: ARG002 - both are shown
        """Put the line at the top of the output; again to replace it."""
        self._lead.value = display.line_bundle(lines.join(line))["text/html"]

    def progress(self, line: lines.Line, *, is_news: bool = True) -> None:  # noqa: ARG002 - the same
        """Show the line in place of the leading one."""
        self.lead(line)

    def line(self, line: lines.Line) -> None:
        """Add a line below what is there."""
        self.log("out", lines.join(line) + "\n")

    def log(self, stream: str, text: str) -> None:
        """Add text that the worker printed; both streams are one text here."""
        self._add(Piece(stream, text))

    def leave_out(self, stream: str, size_bytes: int) -> None:
        """Say that so much of the log does not come."""
        lost = Lost(size_bytes, None)
        self._add(Piece(stream, hole(lost), lost))

    def _add(self, piece: Piece) -> None:
        self._end.add(piece)
        if time.monotonic() - self._sent > _REFRESH_SECONDS:
            self.settle()

    def settle(self) -> Lost:
        """Send the text that waits for its turn; return what is not shown."""
        self._sent = time.monotonic()
        text = _settled("".join(piece.text for piece in self._end))
        self._log.value = f"<pre>{html.escape(text)}</pre>" if text else ""
        return self._end.lost

    def draw(self, bundle: Mapping[str, Any]) -> None:
        """Add a display, as the data of its mime types."""
        shown = {"output_type": "display_data", "data": dict(bundle), "metadata": {}}
        self._output.outputs = (*self._output.outputs, shown)

    def is_closing(self) -> bool:
        """Never known: a form's thread gets no interrupts."""
        return False


def _settled(text: str) -> str:
    """The text as a terminal would leave it after carriage returns (progress bars)."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def _widget(widgets: Any, field: Field) -> Any:
    name = f"{field.name} *" if field.required else field.name
    default = "" if field.default in (REQUIRED, None) else field.default
    options = {"description": name, "style": {"description_width": "initial"}}
    if field.choices:
        chosen = default if default in field.choices else None
        return widgets.Dropdown(options=list(field.choices), value=chosen, **options)
    if field.type == "bool":
        return widgets.Checkbox(value=bool(default), **options)
    # Numbers as text: an empty one leaves the choice to the handler, a number box has no empty.
    kind = widgets.Textarea if field.type in ("list", "dict") else widgets.Text
    if _is_long(field):
        size = pretty.size(len(_typed(default)))
        return kind(value="", placeholder=f"as before ({size})", **options)
    return kind(value=_typed(default), placeholder=field.type, **options)


def _is_long(field: Field) -> bool:
    return field.default is not REQUIRED and len(_typed(field.default)) > _LONGEST_DEFAULT


def _typed(default: Any) -> str:
    import json

    if isinstance(default, str):
        return default
    return json.dumps(default, ensure_ascii=False)
