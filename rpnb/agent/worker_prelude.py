"""What scratch cells use of the notebook's ordinary cells: their values, in the scratch names."""

from __future__ import annotations
import __future__

import contextlib
import importlib
import linecache
import os
import sys
import types
from pathlib import Path
from typing import Any, Iterator, Mapping

from ..protocol.blobs import layouts
from .worker_code import Executor
from .worker_program import copy_pieces

# A captured name of no cell that can be shown.
_UNNAMED = "captured"


class Prelude:
    """Runs the definitions that come with a scratch cell; each once, while it stays the same.

    A definition is {"name", "imports", "text", "label", "first_line", "future"};
    `files` are {path: [digest, size]} as a program's.
    """

    def __init__(self, module: types.ModuleType, folder: Path, values: Path) -> None:
        self._module, self._folder, self._values = module, folder, values
        # Name -> the definition that made it, and the value.
        self._made: dict[str, tuple[Mapping[str, Any], Any]] = {}

    def forget(self, program: Mapping[str, Any]) -> None:
        """Take back the names that the program binds itself by now."""
        namespace = self._module.__dict__
        for name in [name for name in self._made if name in program]:
            _, value = self._made.pop(name)
            if namespace.get(name) is value:
                del namespace[name]

    @contextlib.contextmanager
    def around(self, cell: Mapping[str, Any]) -> Iterator[None]:
        """Let the cell's local modules be imported inside, and nowhere else."""
        folder = os.fspath(self._folder)
        self._write(layouts(cell))
        sys.path.append(folder)
        try:
            yield
        finally:
            with contextlib.suppress(ValueError):
                sys.path.remove(folder)
            # The program's own module of that name, if it gets one, is another.
            for name, module in list(sys.modules.items()):
                if str(getattr(module, "__file__", None) or "").startswith(folder + os.sep):
                    del sys.modules[name]

    def run(self, cell: Mapping[str, Any], executor: Executor) -> None:
        """Run what is new among the cell's definitions."""
        namespace = self._module.__dict__
        for each in cell.get("prelude") or ():
            name = each["name"]
            made, value = self._made.get(name, (None, None))
            if name and made == each and namespace.get(name) is value:
                continue
            self._define(each, executor)
            self._made[name] = (each, namespace.get(name))

    def _define(self, each: Mapping[str, Any], executor: Executor) -> None:
        namespace, name = self._module.__dict__, each["label"] or _UNNAMED
        flags = 0
        for feature in each["future"]:
            flags |= getattr(__future__, feature).compiler_flag
        padding = "\n" * (each["first_line"] - 1)
        _remember(name, each)
        main, file = sys.modules["__main__"], namespace.get("__file__")
        # A pickle's classes and functions are those of the module that loads it.
        sys.modules["__main__"] = self._module
        namespace["__file__"] = os.fspath(self._folder / "scratch.py")
        try:
            for text in (each["imports"], padding + each["text"]):
                executor.run(compile(text, name, "exec", flags, dont_inherit=True), namespace)
        finally:
            sys.modules["__main__"] = main
            namespace["__file__"] = file

    def _write(self, files: Mapping[str, Any]) -> None:
        for path, layout in files.items():
            target = self._folder / path
            if ".." in Path(path).parts or Path(path).is_absolute():
                raise ValueError(f"expected a path inside the folder, got {path!r}")
            copy_pieces(self._values, layout, target)
        if files:
            importlib.invalidate_caches()


def _remember(name: str, each: Mapping[str, Any]) -> None:
    """Let tracebacks show the lines; other definitions of the same cell keep theirs."""
    known = linecache.cache.get(name)
    lines = list(known[2]) if known is not None and len(known) == 4 else []
    first, text = each["first_line"] - 1, each["text"].splitlines(keepends=True)
    lines += ["\n"] * (first + len(text) - len(lines))
    lines[first : first + len(text)] = text
    linecache.cache[name] = (len(lines), None, lines, name)
