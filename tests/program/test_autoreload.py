"""Modules that `%autoreload` edits in a running notebook, and what of them travels."""

from __future__ import annotations

import sys

import pytest

from rpnb.program.skew import There

BEFORE = """\
import functools

K = 1

def f(x):
    return x + K

class C:
    def m(self):
        return 1

def times(n):
    def deco(inner):
        @functools.wraps(inner)
        def wrapper(x):
            return [n, inner(x)]
        return wrapper
    return deco

@times(2)
def timed(x):
    return x
"""
# New IPython mends the functions of a module in place, unless an assignment calls something:
# then, as older IPython always did, it makes the module anew and hands the old functions the
# code of the new ones.
EDITS = {"in place": "K = 10", "made anew": "K = 10\nMADE = [str(K)]"}


@pytest.fixture
def reloading(notebook, tmp_path, monkeypatch):
    """A notebook that has imported `edited.py` and reloads it; `edit` edits that file."""
    monkeypatch.syspath_prepend(tmp_path)
    place = tmp_path / "edited.py"
    place.write_text(BEFORE)
    notebook.cell("%load_ext autoreload\n%autoreload 2")
    notebook.cell("import edited\nfrom collections import deque\nfrom edited import *")

    def edit(constants):
        text = BEFORE.replace("K = 1", constants).replace("x + K", "x * K * 1.0")
        place.write_text(text.replace("return 1", "return 22"))
        notebook.cell("pass")
        assert notebook.value("edited.f(3)") == 30

    notebook.edit = edit
    yield notebook
    sys.modules.pop("edited", None)


@pytest.mark.parametrize("how", EDITS)
def test_what_autoreload_edited_is_the_modules_in_any_python(reloading, how):
    reloading.cell("c, g = C(), f\ntable, held = {'f': g}, deque([f])")
    reloading.edit(EDITS[how])
    use = "[f(3), g(3), table['f'](3), held[0](3), c.m(), edited.K]"
    reloading.setup(f"x = {use}")
    assert reloading.value(use) == [30, 30, 30, 30, 22, 10]
    assert reloading.build(there=There("3.9")).python == ""
    assert reloading.remote_value("x") == [30, 30, 30, 30, 22, 10]


def test_function_that_autoreload_left_behind_is_imported_and_not_pickled(reloading):
    reloading.cell("g = f")
    reloading.edit(EDITS["made anew"])
    assert not reloading.value("g is edited.f")
    reloading.setup("x = g(3)")
    program = reloading.build()
    assert "from edited import f as g" in program.text
    assert list(program.files) == ["edited.py"]


@pytest.mark.parametrize(
    ("made", "use"),
    [
        ("g = times(5)(timed)", "g(1)"),
        ("table = {'g': times(5)(timed)}", "table['g'](1)"),
        ("held = deque([times(5)(timed)])", "held[0](1)"),
    ],
)
def test_function_decorated_once_more_is_not_the_modules(reloading, made, use):
    reloading.cell(made)
    reloading.setup(f"x = {use}")
    assert reloading.remote_value("x") == reloading.value(use) == [5, [2, 1]]
