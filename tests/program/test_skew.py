"""A value that another major version of its library would misread is not sent."""

import sys
import types
from importlib import metadata
from importlib.machinery import ModuleSpec

import numpy as np
import pytest

from rpnb.agent import worker_installed
from rpnb.errors import CannotCapture, ProgramError
from rpnb.program.build import build
from rpnb.program.cells import Cell
from rpnb.program.names import Names
from rpnb.program.skew import DISTRIBUTIONS, There, problems, requested, unread

HERE = np.__version__
OTHER = f"{int(HERE.split('.')[0]) + 1}.0.1"
USE = "def handler(job):\n    return float(weights.sum())"


def _program(packages, source=USE, **options):
    names = Names({"weights": np.arange(5000.0), "n": 3}, there=There("", packages), **options)
    return build([Cell("h", "handler", "", "cell 2", source)], names)


def test_other_major_is_an_error_with_both_versions_and_a_remedy():
    with pytest.raises(ProgramError) as raised:
        _program({"numpy": OTHER})
    said = str(raised.value)
    assert f"numpy {HERE}; the target has numpy {OTHER}" in said
    assert f"%pip install numpy=={HERE.split('.')[0]}.*" in said
    assert "cell 2" in said


@pytest.mark.parametrize("packages", [{}, {"numpy": HERE}, {"pandas": "99.0"}, {"numpy": ""}])
def test_same_major_unknown_or_unused_is_none(packages):
    assert _program(packages).files


def test_program_that_installs_the_package_itself_is_trusted():
    assert _program({"numpy": OTHER}, f"!pip install 'numpy=={HERE}'\n{USE}").files


def test_send_allows_it():
    assert _program({"numpy": OTHER}, send=["weights"]).files


def test_worker_tells_the_versions_of_what_is_looked_at_here():
    assert set(worker_installed._WITH_VALUES) == set(DISTRIBUTIONS.values())


def test_value_without_such_objects_is_none():
    assert _program({"numpy": OTHER}, "def handler(job):\n    return n").text


def test_value_inside_another_is_named_by_its_path():
    names = Names({"cfg": {"w": [np.zeros(5000)]}}, there=There("", {"numpy": OTHER}))
    with pytest.raises(CannotCapture, match=r"`cfg\['w'\]\[0\]` is of numpy\.ndarray of numpy 2"):
        build([Cell("h", "handler", "", "cell 2", "def handler(job):\n    return cfg")], names)


PACKAGES = {
    "numpy": ("import numpy as np\nv = {'w': np.float32(1.5)}", "`v['w']` is of numpy.float32"),
    "pandas": ("import pandas as pd\nv = [pd.Timestamp(0)]", "`v[0]` is of pandas.Timestamp"),
    "pydantic": (
        "import pydantic\nclass M(pydantic.BaseModel):\n    a: int = 1\nv = (M(),)",
        "`v[0]` is of __main__.M",
    ),
    "torch": ("import torch\nv = {'t': torch.zeros(3)}", "`v['t']` is of torch.Tensor"),
    "scikit-learn": (
        "from sklearn.linear_model import LinearRegression as L\nv = [L()]",
        "`v[0]` is of sklearn.linear_model._base.LinearRegression",
    ),
    "pillow": (
        "import PIL.Image\nv = [PIL.Image.new('L', (1, 1))]",
        "`v[0]` is of PIL.Image.Image",
    ),
}


MODULES = {package: module for module, package in DISTRIBUTIONS.items()}


@pytest.mark.parametrize("package", PACKAGES)
def test_other_major_of_each_package_is_named_with_the_path_inside_the_value(notebook, package):
    text, said = PACKAGES[package]
    pytest.importorskip(MODULES[package])
    notebook.cell(text)
    notebook.setup("x = v")
    with pytest.raises(CannotCapture) as raised:
        notebook.build(there=There("", {package: "99.1"}))
    assert f"{said} of {package} {metadata.version(package)}; the target has {package} 99.1" in (
        str(raised.value)
    )


class Own:
    """Stands for a class of a package that only this machine has."""


Own.__module__ = "only_here.things"
LACKING = There("3.11", {}, frozenset({"os", "pickle", "pathlib", "numpy"}))


@pytest.fixture
def only_here(monkeypatch):
    module = types.ModuleType("only_here.things")
    module.__spec__ = ModuleSpec("only_here.things", None)
    module.Own, module.find = Own, lambda: None
    module.find.__module__, module.find.__qualname__ = "only_here.things", "find"
    monkeypatch.setitem(sys.modules, "only_here.things", module)
    monkeypatch.setitem(sys.modules, "only_here", types.ModuleType("only_here"))
    return module


def _asking(only_here, text, requirements="", there=LACKING):
    values = {"cfg": {"client": [Own()]}, "lib": only_here, "find": only_here.find, "K": 1}
    source = f"{requirements}def handler(job):\n    return {text}"
    return build([Cell("h", "handler", "", "cell 2", source)], Names(values, there=there))


MISSING = {
    "cfg": "`cfg['client'][0]` is of only_here.things.Own, and the target has no module only_here",
    "lib": "`lib` comes from only_here, and the target has no module only_here",
    "find": "`find` comes from only_here, and the target has no module only_here",
}


@pytest.mark.parametrize("name", MISSING)
def test_what_the_target_has_no_module_for_is_named_before_anything_is_sent(only_here, name):
    with pytest.raises(CannotCapture) as raised:
        _asking(only_here, name)
    assert str(raised.value) == (
        f"{MISSING[name]}. Remedy: put `%pip install only_here` into a set-up cell\n"
        "  cell 2, line 2 uses it."
    )


def test_module_of_this_pythons_own_library_is_not_to_be_installed():
    # As tomllib is below Python 3.11, and many an old one above 3.12.
    names = Names({"table": sys.modules["types"]}, there=LACKING)
    with pytest.raises(CannotCapture) as raised:
        build([Cell("h", "handler", "", "cell 2", "def handler(job):\n    return table")], names)
    assert str(raised.value) == (
        "`table` comes from types, and the target has no module types. Remedy: it is of this "
        "Python's own library: use what Python 3.11 has, too\n  cell 2, line 2 uses it."
    )


def test_everything_that_the_target_lacks_is_said_at_once(only_here):
    with pytest.raises(CannotCapture, match="(?s)3 problems.*`cfg.*`find.*`lib"):
        _asking(only_here, "cfg, find, lib")


@pytest.mark.parametrize(
    "there", [There(), There("3.11", {}, LACKING.modules | {"only_here"})], ids=["unknown", "there"]
)
def test_module_that_may_be_there_is_no_problem(only_here, there):
    assert _asking(only_here, "cfg", there=there).files


@pytest.mark.parametrize(
    "line", ["only-here", "'Only.Here>=2'", "git+https://x/y.git", "./wheel", "not-known-here"]
)
def test_module_that_the_program_installs_is_no_problem(only_here, line):
    assert _asking(only_here, "cfg", f"!pip install {line}\n").files


def test_another_requirement_does_not_bring_it(only_here):
    with pytest.raises(CannotCapture, match="no module only_here"):
        _asking(only_here, "cfg", "!pip install requests\n")


def test_local_module_needs_no_counterpart(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("K = 1")
    monkeypatch.syspath_prepend(tmp_path)
    import mine

    names = Names({"mine": mine}, folder=tmp_path, path=[str(tmp_path)], there=LACKING)
    assert "mine.py" in build([Cell("s", "setup", "", "cell 2", "x = mine.K")], names).files


def test_program_from_elsewhere_is_checked_by_what_it_says_itself(only_here):
    program = type(p := _asking(only_here, "cfg", there=There())).from_wire(p.to_wire())
    assert "no module only_here" in str(problems(program, LACKING)[0])


LINE = 'cfg = pickle.loads((pathlib.Path(__file__).parent / "data" / "cfg-1.pkl").read_bytes())'


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Can't get attribute 'Own' on <module 'numpy' from '/x.py'>",
         f": `cfg[0]` is of numpy.ndarray, and it may have another numpy. Remedy: make `cfg` in a "
         f"remote cell, or send plain data, or `%pip install numpy=={HERE}`"),
        ("No module named 'decimal'", ". Remedy: make `cfg` in a remote cell, or send plain data"),
        ("boom", ": `cfg[0]` is of numpy.ndarray, and it may have another numpy. Remedy: make "),
    ],
)  # fmt: skip
def test_value_that_the_target_could_not_read_is_told_with_path_cell_and_remedy(said, told):
    names = Names({"cfg": [np.zeros(5000)]})
    program = build(
        [Cell("h", "handler", "", "cell 2", "def handler(job):\n    return cfg")], names
    )
    found = unread(program, LINE, said)
    assert found.startswith(f"the target could not read `cfg`{told}")
    assert found.endswith("cell 2, line 2 uses it.")
    assert unread(program, "other = 1", said) is None


def test_requirements_name_distributions():
    lines = ["--pre", "A_b>=1", "c[x]==2", "git+https://d/e", "./f"]
    assert requested(lines) == {"a-b", "c", "*"}
