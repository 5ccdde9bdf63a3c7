"""An exception as data: its type, message, and the frames a person wrote or called."""

from __future__ import annotations

import platform
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, Iterator

_HERE = str(Path(__file__).parent.parent)


def details(error: BaseException, app: str) -> dict[str, Any]:
    """Return {"type", "message", "frames", "traceback"} of an exception.

    Frames of rpnb and of runpod are left out; a file inside `app` is named
    relative to it. A frame is [file, line, function, source line].
    """
    report = traceback.TracebackException(type(error), error, _user_part(error.__traceback__))
    for part in _chain(report):
        part.stack = _clean(part.stack, app)
    return {
        "type": _type_name(type(error)),
        "message": _message(error),
        "frames": [[f.filename, f.lineno, f.name, f.line] for f in report.stack],
        "traceback": "".join(report.format()).splitlines(),
    }


def syntax_details(error: SyntaxError, name: str) -> dict[str, Any]:
    """Return the same for source that does not parse; its one frame is the faulty line.

    The client's Python has read it: where this one cannot, they differ.
    """
    line = error.lineno or 1
    own = platform.python_version()
    return {
        "type": type(error).__name__,
        "message": f"{error.msg}: the target's Python {own} does not read this line, as the one "
        "where it was typed does. Write it in the older syntax, or choose another with --python",
        "frames": [[name, line, "<module>", (error.text or "").strip()]],
        "traceback": "".join(traceback.format_exception_only(type(error), error)).splitlines(),
    }


def _user_part(start: TracebackType | None) -> TracebackType | None:
    """Skip our own and the event loop's frames above the first of the person's."""
    at = start
    while at is not None and _is_ours(at.tb_frame.f_code.co_filename):
        at = at.tb_next
    return at or start


def _is_ours(file: str) -> bool:
    return file.startswith(_HERE) or "/runpod/serverless/" in file.replace("\\", "/")


def _chain(report: Any) -> Iterator[Any]:
    todo, seen = [report], set()
    while todo:
        part = todo.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        todo += [part.__cause__, part.__context__, *(getattr(part, "exceptions", None) or ())]


def _clean(stack: traceback.StackSummary, app: str) -> traceback.StackSummary:
    kept = [frame for frame in stack if not _is_ours(frame.filename)]
    for frame in kept:
        # Read the source line now: it is found by the full name only.
        frame.line  # noqa: B018 - a property that reads the file
        if frame.filename.startswith(app + "/"):
            frame.filename = frame.filename[len(app) + 1 :]
    return traceback.StackSummary.from_list(kept)


def _type_name(kind: type[BaseException]) -> str:
    if kind.__module__ in ("builtins", "__main__"):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as inner:  # noqa: BLE001 - a person's own __str__ may raise anything
        return f"<str() of it raised {type(inner).__name__}>"
