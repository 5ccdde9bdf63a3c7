"""Imports that patch other libraries are told from those that only look so."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from rpnb.agent.worker_patches import Loaded

VICTIM = "def loads(text):\n    return text\nclass Model:\n    pass\ndef _private():\n    pass\n"

# What `patcher` does while it is imported, beside `victim`, which was imported before it.
PATCHES = {
    "replaces a function": "import victim\nvictim.loads = lambda text: None",
    "wraps a function": (
        "import functools, victim\ndef wrapped(f):\n    @functools.wraps(f)\n"
        "    def inner(text):\n        return f(text)\n    return inner\n"
        "victim.loads = wrapped(victim.loads)"
    ),
    "replaces a class": "import victim\nclass Model:\n    pass\nvictim.Model = Model",
    "puts an object there": "import victim\nvictim.loads = object()",
    "fills a module that comes along": (
        "import companion\ndef loads(text):\n    return 1\ncompanion.loads = loads"
    ),
}
HARMLESS = {
    "adds a function": "import victim\nvictim.more = lambda text: None",
    "replaces a private helper": "import victim\nvictim._private = lambda: None",
    "brings a module that imports it": "import toolkit",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the search path, with the library that is loaded already."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    (tmp_path / "victim.py").write_text(VICTIM)
    (tmp_path / "companion.py").write_text("def loads(text):\n    return text\n")
    (tmp_path / "toolkit.py").write_text("from patcher import Part\n")
    importlib.import_module("victim")
    return tmp_path


def _is_patched(folder: Path, text: str, *loads: str) -> bool:
    (folder / "patcher.py").write_text(f"class Part:\n    pass\n{text}\n")
    loaded = Loaded()
    importlib.import_module("patcher")
    return loaded.is_patched(["patcher", *loads])


@pytest.mark.parametrize("text", PATCHES.values(), ids=list(PATCHES))
def test_patch_of_another_library_is_seen(folder: Path, text: str) -> None:
    assert _is_patched(folder, text)


@pytest.mark.parametrize("text", HARMLESS.values(), ids=list(HARMLESS))
def test_import_that_patches_nothing_is_left_alone(folder: Path, text: str) -> None:
    assert not _is_patched(folder, text)


def test_library_that_replaces_its_own_function_late_is_left_alone(folder: Path) -> None:
    """As torch does when its compiler is loaded."""
    (folder / "victim").mkdir()
    (folder / "victim" / "late.py").write_text("def loads(text):\n    return text\n")
    text = (
        "import importlib.util, victim\n"
        f"spec = importlib.util.spec_from_file_location('victim.late', {str(folder)!r}"
        " + '/victim/late.py')\n"
        "late = importlib.util.module_from_spec(spec)\nspec.loader.exec_module(late)\n"
        "victim.loads = late.loads"
    )
    assert not _is_patched(folder, text)


def test_module_that_was_loaded_before_the_statement_did_nothing_in_it(folder: Path) -> None:
    """`import patcher, functools`: whatever comes along and uses functools is no patch."""
    (folder / "companion.py").write_text("wraps = __import__('functools').wraps\n")
    assert not _is_patched(folder, "import companion", "functools")
