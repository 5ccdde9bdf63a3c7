"""Calls that are known to change nothing, given what makes them change something after all."""

# ruff: noqa: E501 - a program on a line

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.planner.stage import Stage
from tests.planner.version import Version
from tests.real.libraries import needing

libraries = needing("torch", "sklearn")
pytestmark = [
    pytest.mark.slow,  # imports the libraries
    pytest.mark.timeout(200),
]

_NET = "import torch\nm = torch.nn.Linear(1, 1)\nm.eval()\n"
_SEEN = "SEEN = []\ndef note(*given):\n    SEEN.append(1)\n    return given[0]\n"
# About -> a program, the line that goes, what is asked then, and what stands below.
LINES = {
    "a module that writes into its input": (
        "import torch\nm = torch.nn.ReLU(inplace=True)\nm.eval()\nx = torch.full((2,), -1.0)", "y = m(x)", "x.tolist()"),
    "a module in another, under no_grad": (
        "import torch\nm = torch.nn.Sequential(torch.nn.Identity(), torch.nn.ReLU(inplace=True)).eval()\nx = torch.full((2,), -1.0)",
        "with torch.no_grad():\n    print(m(x))", "x.tolist()"),
    "an estimator that scales in place": (
        "import numpy as np\nfrom sklearn.preprocessing import StandardScaler\ns = StandardScaler(copy=False).fit(np.ones((2, 2)))\nX = np.full((2, 2), 3.0)",
        "Y = s.transform(X)", "X.tolist()"),
    "an array that the result goes to": (
        "import numpy as np\na = np.full(2, 1.26)", "b = np.round(a, 1, a)", "a.tolist()"),
    "a ufunc's second argument": (
        "import numpy as np\na = np.ones(2)\no = np.ones(2, bool)", "print(np.isnan(a, o))", "o.tolist()"),
    "a method's third argument": (
        "import numpy as np\na = np.ones((2, 2))\no = np.zeros(2)", "a.sum(0, None, o)", "o.tolist()"),
    "a module that another one hands through": (
        "import torch\nm = torch.nn.Identity().eval()\ns = torch.nn.Linear(1, 1)", "m(s).half()", "str(s.weight.dtype)"),
    "a function in a transformer": (
        _SEEN + "import numpy as np\nfrom sklearn.preprocessing import FunctionTransformer\nt = FunctionTransformer(note).fit(np.ones((2, 2)))",
        "t.transform(np.ones((2, 2)))", "len(SEEN)"),
    "a function in a pipeline": (
        _SEEN + "import numpy as np\nfrom sklearn.preprocessing import FunctionTransformer\nfrom sklearn.pipeline import make_pipeline\nt = make_pipeline(FunctionTransformer(note)).fit(np.ones((2, 2)))",
        "t.transform(np.ones((2, 2)))", "len(SEEN)"),
    "a measure of distance": (
        "SEEN = []\ndef far(a, b):\n    SEEN.append(1)\n    return abs(a - b).sum()\nfrom sklearn.neighbors import NearestNeighbors\nk = NearestNeighbors(n_neighbors=1, metric=far).fit([[1.0], [2.0]])\nSEEN.clear()",
        "k.kneighbors([[1.0]])", "bool(SEEN)"),
    "an activation": (
        _SEEN + "import torch\nm = torch.nn.TransformerEncoderLayer(2, 1, 2, activation=note).eval()", "m(torch.ones(1, 1, 2))", "len(SEEN)"),
    "a forward of the program's": (
        _SEEN + "import torch\ndef forward(self, x): return note(x)\ntorch.nn.Linear.forward = forward\n" + _NET,
        "m(torch.ones(1, 1))", "len(SEEN)"),
    "one batch of a loader": (
        "import torch\ng = torch.Generator().manual_seed(0)\nloader = torch.utils.data.DataLoader(list(range(9)), batch_size=9, shuffle=True, generator=g)",
        "b = next(iter(loader))", "c.tolist()", "c = next(iter(loader))"),
    "a loop over a loader": (
        "import torch\ng = torch.Generator().manual_seed(0)\nloader = torch.utils.data.DataLoader(list(range(9)), batch_size=9, shuffle=True, generator=g)",
        "for b in loader:\n    print(b.size())", "c.tolist()", "c = next(iter(loader))"),
    "a dataset of the program's": (
        _SEEN + "import torch\nclass Data(torch.utils.data.Dataset):\n    def __len__(self): return 2\n    def __getitem__(self, i): return note(i)\nloader = torch.utils.data.DataLoader(Data())",
        "b = next(iter(loader))", "len(SEEN)"),
}  # fmt: skip
# Lines that do change nothing.
KEPT = {
    "a batch": (_NET + "x = torch.ones(1, 1)", "with torch.no_grad():\n    m(x)"),
    "arguments by name": (_NET + "kw = {'input': torch.ones(1, 1)}", "print(m(**kw))"),
    "an array": (
        "import numpy as np\nfrom sklearn.preprocessing import StandardScaler\nm = StandardScaler().fit(np.ones((2, 2)))\nX = np.full((2, 2), 3.0)",
        "m.transform(X)"),
}  # fmt: skip


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    names = ("torch", "torch.utils.data", "sklearn.preprocessing", "sklearn.neighbors")
    with Stage(preload=(*names, "sklearn.pipeline")) as found:
        yield found


def _version(*steps: str, asked: str = "0") -> Version:
    start = (
        f"def handler(job): return {asked}",
        "import runpod; runpod.serverless.start({'handler': handler})",
    )
    return Version((*steps, *start), {}, (1,))


@pytest.mark.parametrize("about", LINES)
def test_line_that_changed_something_after_all_is_undone(stage: Stage, about: str) -> None:
    program, line, asked, *below = LINES[about]
    versions = [_version(program, *more, *below, asked=asked) for more in ((line,), (), (line,))]
    answers = []
    with stage.warm() as warm:
        for version in versions:
            assert warm.sync(version).answers == stage.fresh(version).answers
            answers.append(stage.fresh(version).answers)
    assert answers[0] != answers[1]


@pytest.mark.parametrize("about", KEPT)
def test_line_that_changes_nothing_comes_and_goes_alone(stage: Stage, about: str) -> None:
    program, line = KEPT[about]
    with stage.warm() as warm:
        for more in ((line,), (), (line,)):
            ran = warm.sync(_version(program, *more)).ran
        assert [text for text in ran if text in program.split("\n")] == []
