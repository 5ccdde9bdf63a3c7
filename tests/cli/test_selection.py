"""select: the ordinary cells that some names depend on, and no others."""

import pytest

from rpnb.cli.notebook import CodeCell
from rpnb.cli.parts import Local
from rpnb.cli.selection import needed_names, select


def chosen(texts, names, forced=()):
    """Positions of the selected cells among `texts`."""
    cells = [Local(CodeCell(f"c{n}", n, text), text) for n, text in enumerate(texts)]
    found = select(cells, names, [cells[n] for n in forced])
    return [each.cell.position for each in found]


CASES = {
    "the cell that binds": (["a = 1", "b = 2"], {"b"}, [1]),
    "nothing for nothing": (["a = 1", "print(a)"], {"c"}, []),
    "transitively, in order": (["a = 1", "b = a + 1", "c = b", "d = 4"], {"c"}, [0, 1, 2]),
    "every cell that binds it": (["a = 1", "x = 0", "a = 2"], {"a"}, [0, 2]),
    "what a function reads when called": (["K = 1", "def f():\n    return K"], {"f"}, [0, 1]),
    "a later value of what it reads": (["K = 1\ndef f():\n    return K", "K = 2"], {"f"}, [0, 1]),
    "an import it needs": (["import numpy as np", "w = np.ones(3)"], {"w"}, [0, 1]),
    "a store into it": (["d = {}", 'd["a"] = 1', 'e["a"] = 1'], {"d"}, [0, 1]),
    "an attribute of it": (["m = M()", "m.eval = True"], {"m"}, [0, 1]),
    "augmented": (["n = 1", "n += 1"], {"n"}, [0, 1]),
    "a deletion inside": (["d = {1: 2}", "del d[1]"], {"d"}, [0, 1]),
    "a method called for its effect": (["x = []", "x.append(1)"], {"x"}, [0, 1]),
    "a call that may change it": (["x = []", "fill(x)", "def fill(v): ..."], {"x"}, [0, 1, 2]),
    "in a loop": (["x = []", "for i in range(3):\n    x.append(i)"], {"x"}, [0, 1]),
    "not a look at it": (["df = 1", "print(df)", "len(df)", "df"], {"df"}, [0]),
    "not a value made of it": (["df = 1", "other = df.mean()"], {"df"}, [0]),
    "not a module that is used": (["import base64", "base64.b64encode(b)"], {"base64"}, [0]),
    "not a function that is called": (["def f(): ...", "show(f)"], {"f"}, [0]),
    "not a cell that runs jobs": (["x = {}", "print(rpnb.run(x))\nx.items()"], {"x"}, [0]),
    "an edit of sys.path": (["import sys", 'sys.path.append("src")', "a = 1"], {"a"}, [0, 1, 2]),
    "a global set by a function": (["def f():\n    global K\n    K = 1"], {"K"}, [0]),
    "a registry's decorator": (
        [
            "R = {}\ndef reg(n):\n    def d(f):\n        R[n] = f\n    return d",
            "@reg('a')\ndef a(): ...",
        ],
        {"R"},
        [0, 1],
    ),
    "a subclass that registers itself": (
        [
            "class B:\n    k = []\n    def __init_subclass__(c):\n        B.k.append(c)",
            "class C(B): ...",
        ],
        {"B"},
        [0, 1],
    ),
    "a call that fills it": (
        ["D = {}\ndef put():\n    D['a'] = 1\ndef warm():\n    put()", "x = warm()", "warm"],
        {"D"},
        [0, 1],
    ),
    "not a call that only reads it": (["D = {}\ndef f():\n    return D", "f()"], {"D"}, [0]),
    "star imports where a name is in doubt": (["from math import *", "a = sqrt(4)"], {"a"}, [0, 1]),
    "no star import for a known name": (["from math import *", "a = len([])"], {"a"}, [1]),
    "what a shell line gives": (["files = !ls", "a = 1"], {"files"}, [0]),
    "a script that may bind a name in doubt": (["%run setup.py", "b = 1"], {"a"}, [0]),
    "a cell magic that may": (["%%sql\nselect 1", "b = 1"], {"a"}, [0]),
    "not a magic that binds nothing": (["%matplotlib inline\n%pip install x"], {"a"}, []),
    "a cell that is only measured": (["%%time\na = 1", "%%capture\nb = a"], {"b"}, [0, 1]),
    "not a cell Python cannot parse": (["a = (", "b = 1"], {"a", "b"}, [1]),
}


@pytest.mark.parametrize("case", CASES)
def test_select_takes(case):
    texts, names, expected = CASES[case]
    assert chosen(texts, names) == expected


def test_select_takes_forced_cells_and_what_they_need():
    assert chosen(["a = 1", "{'x': a}", "c = 3"], set(), forced=[1]) == [0, 1]


def test_needed_names_are_those_of_all_texts_together():
    assert needed_names(["a = x", "b = a + y", "def f():\n    return z"]) == {"x", "y", "z"}


def test_needed_names_skip_what_python_cannot_parse():
    assert needed_names(["{oops", "a"]) == {"a"}
