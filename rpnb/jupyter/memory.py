"""What a notebook remembers over a kernel restart: its last input, target and worker.

One small file for each notebook in the person's state folder; never in the
notebook itself, where it would be shared with others.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..session import state

if TYPE_CHECKING:
    from collections.abc import Collection

# A larger input is not worth a copy on disk at each run.
_LARGEST_INPUT = 32_000_000
_SEEN = 50
_TARGETS = 8


class Memory:
    """Facts by name, written through to `file`; without a file only kept here."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._facts = _read(file) if file else {}

    @property
    def target(self) -> str | None:
        """The target that this notebook used last."""
        found = self._facts.get("target")
        return found if isinstance(found, str) else None

    @property
    def last_input(self) -> tuple[bool, Any]:
        """Whether there is one, and the input last run."""
        return "input" in self._facts, self._facts.get("input")

    @property
    def cell_ids(self) -> list[str]:
        """The ids of the notebook's cells when it was last synced."""
        return list(self._facts.get("cells") or ())

    @property
    def references(self) -> dict[str, Any]:
        """The last accepted output of each test that compares with it."""
        return dict(self._facts.get("references") or {})

    @property
    def dropped(self) -> list[list[str]]:
        """Id and text of each cell that was dropped, and that the worker's program still has."""
        return list(self._facts.get("dropped") or ())

    @property
    def send(self) -> dict[str, list[str]]:
        """The names that `--send` allowed, by the cell's id."""
        return dict(self._facts.get("send") or {})

    def sent(self, target: str) -> dict[str, Any]:
        """What this notebook sent to the target, as `program.own.Sent.facts` has it."""
        found = (self._facts.get("sent") or {}).get(target)
        return found if isinstance(found, dict) else {}

    def keep_sent(self, target: str, sent: dict[str, Any]) -> None:
        """Remember what this notebook sent to the target; the ones used last are kept."""
        known = self._facts.get("sent") or {}
        others = [key for key in known if key != target][1 - _TARGETS :]
        self.keep(sent={**{key: known[key] for key in others}, target: sent})

    @property
    def settings(self) -> dict[str, str]:
        """The id of the cell that made each plain setting."""
        return dict(self._facts.get("settings") or {})

    def has_seen(self, request: str) -> bool:
        """Whether this notebook was told how the request ended."""
        return request in (self._facts.get("seen") or ())

    def keep(self, **facts: Any) -> None:
        """Remember these facts; an input too large for a copy is only kept in memory."""
        if all(self._facts.get(name, ...) == value for name, value in facts.items()):
            return
        self._facts.update(facts)
        self._write()

    def forget(self, name: str) -> None:
        """Drop this fact."""
        if name in self._facts:
            del self._facts[name]
            self._write()

    def saw(self, request: str) -> None:
        """Remember that the person was shown how this request ended."""
        seen = [*(self._facts.get("seen") or ()), request]
        self.keep(seen=seen[-_SEEN:])

    def _write(self) -> None:
        if self._file is None:
            return
        text = json.dumps(self._facts)
        if len(text) > _LARGEST_INPUT:
            text = json.dumps({key: item for key, item in self._facts.items() if key != "input"})
        # A full or read-only home costs only the convenience.
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh = self._file.with_suffix(".new")
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            fresh.replace(self._file)


def for_worker(worker: str) -> Memory:
    """Return the memory of the notebook whose worker has this name."""
    return Memory(_folder() / f"{worker}.json")


def worker_of(path: Path, name: str, cell_ids: Collection[str]) -> str:
    """Return the name of the worker of the notebook at `path`, which has these cells.

    It is `name`, made of the path, unless the notebook was renamed: then its old
    path is gone and its cells are these. A copy's original is still there; and a
    notebook that was renamed keeps its worker from one that gets its old name.
    """
    if _path(_read(_folder() / f"{name}.json")) == path:
        return name
    known = {file.stem: _read(file) for file in sorted(_folder().glob("*.json"))}
    own = next((worker for worker, facts in known.items() if _path(facts) == path), None)
    if own is not None:
        return own
    if name not in known:
        return next((each for each in known if _was_this(known[each], cell_ids)), name)
    if not _is_there(known[name]):
        return name
    return next(each for n in itertools.count(2) if (each := f"{name}-{n}") not in known)


def _was_this(facts: dict[str, Any], cell_ids: Collection[str]) -> bool:
    """Whether these facts are of a notebook that is gone from its place and had these cells."""
    known = facts.get("cells") or ()
    is_gone = _path(facts) is not None and not _is_there(facts)
    return is_gone and len(set(known) & set(cell_ids)) > len(known) / 2


def _path(facts: dict[str, Any]) -> Path | None:
    """Where the notebook of a worker was last."""
    found = facts.get("path")
    return Path(found) if isinstance(found, str) else None


def _is_there(facts: dict[str, Any]) -> bool:
    path = _path(facts)
    return path is not None and path.exists()


def _folder() -> Path:
    return state.folder() / "notebooks"


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
