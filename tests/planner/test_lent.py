"""Functions of local modules that are handed over as values: whoever gets one may call it."""

from __future__ import annotations

import pytest

from .differential import difference
from .stage import Stage
from .version import Version

_MODULE = """\
import functools, os
SEEN = []
def note(n): SEEN.append(n)
def tell(n): os.environ["RPNB_TEST_HOME"] = str(n)
def double(n): return 2 * n
class Counter:
    made = []
    def __init__(self, n): self.made.append(n)
"""
_LOOK = "import os, lm, modelkit\nn = len(lm.SEEN), len(lm.Counter.made)\n"
_LOOK += "home = os.environ.get('RPNB_TEST_HOME')\n"
# The last line calls what the lines above it hand over.
CALLED = {
    "in a list": "import lm\nx = [lm.note]\nx[0](1)\n",
    "imported by name": "from lm import note\nx = {'f': note}\nx['f'](1)\n",
    "to a function": "import lm\ndef call(f): f(1)\ncall(lm.note)\n",
    "within a function": "import lm\ndef call(f): f(1)\ndef go(): call(lm.note)\ngo()\n",
    "to a builtin": "import lm\nlist(map(lm.note, [1]))\n",
    "to sorted": "import lm\nx = sorted([1], key=lm.note)\n",
    "in a partial": "import functools, lm\nx = functools.partial(lm.note, 1)\nx()\n",
    "in a partial, by name": "import functools\nfrom lm import note\n"
    "x = functools.partial(note, 1)\nx()\n",
    "in a closure": "import lm\ndef make(f):\n    def g(): f(1)\n    return g\n"
    "g = lm.note\nx = make(g)\nx()\n",
    "the module": "import lm\ndef make(l):\n    def g(): l.note(1)\n    return g\n"
    "x = make(lm)\nx()\n",
    "the module to a function": "import lm\ndef call(l): l.note(1)\ncall(lm)\n",
    "a class": "import lm\nx = [each(1) for each in [lm.Counter]]\n",
    "what sets the environment": "import lm\nx = [*map(lm.tell, [1])]\n",
}


@pytest.mark.parametrize("about", CALLED)
def test_function_that_is_handed_over_changes_its_module(stage: Stage, about: str) -> None:
    lines = CALLED[about].splitlines(keepends=True)
    texts = ("".join(lines), "".join(lines[:-1]), "")
    versions = [Version((f"{t}{_LOOK}",), {"lm.py": _MODULE.encode()}) for t in texts]
    assert not difference(stage, [*versions, *versions[::-1], versions[2], versions[0]])


def test_function_without_a_state_loads_nothing(stage: Stage) -> None:
    text = f"{_LOOK}m = modelkit.LOAD(len(lm.SEEN))\nx = list(map(lm.double, [1]))\n"
    edited = text.replace("[1]", "[2]")
    files = {"lm.py": _MODULE.encode()}
    assert not difference(stage, [Version((t,), files) for t in (text, edited, text)])
    with stage.warm() as warm:
        warm.sync(Version((text,), files))
        assert warm.sync(Version((edited,), files)).loads == []
