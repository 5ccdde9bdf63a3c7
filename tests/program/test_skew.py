"""A value that another major version of its library would misread is not sent."""

import importlib
import sys
import types
from importlib import metadata

import numpy as np
import pytest

from rpnb.agent import worker_installed
from rpnb.errors import CannotCapture, ProgramError
from rpnb.program.build import build
from rpnb.program.cells import Cell
from rpnb.program.names import Names
from rpnb.program.skew import DISTRIBUTIONS, There, lacked, requested, unread

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


@pytest.fixture
def only_here(tmp_path, monkeypatch):
    """Return a package that is installed here."""
    folder = tmp_path / "site-packages" / "only_here"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "things.py").write_text("class Own: pass\ndef find(): pass\n")
    monkeypatch.syspath_prepend(folder.parent)
    yield importlib.import_module("only_here.things")
    for name in ("only_here", "only_here.things"):
        del sys.modules[name]


def _asking(only_here, text, requirements="", **more):
    lib = sys.modules["only_here"]
    values = {"cfg": {"client": [only_here.Own()]}, "lib": lib, "find": only_here.find, "K": 1}
    source = f"{requirements}def handler(job):\n    return {text}"
    return build([Cell("h", "handler", "", "cell 2", source)], Names({**values, **more}))


NEEDS = {
    "cfg": {"only_here", "only_here.things:Own"},
    "lib": {"only_here"},
    "find": {"only_here"},
    "K": set(),
}
MISSING = {
    "cfg": "`cfg['client'][0]` is of only_here.things.Own, and the target has no module only_here",
    "lib": "`lib` comes from only_here, and the target has no module only_here",
    "find": "`find` comes from only_here, and the target has no module only_here",
}


@pytest.mark.parametrize("name", NEEDS)
def test_program_says_what_its_captures_need(only_here, name):
    needs = set(_asking(only_here, name).needs)
    assert {need for need in needs if need.startswith("only_here")} == NEEDS[name]
    assert needs <= NEEDS[name] | {"pathlib", "pickle"}


@pytest.mark.parametrize("name", MISSING)
def test_module_that_the_target_lacks_is_named_with_its_use_and_the_remedy(only_here, name):
    program = _asking(only_here, name)
    assert [str(each) for each in lacked(program, program.needs)][:1] == [
        f"{MISSING[name]}. Remedy: put `%pip install only_here` into a set-up cell\n"
        "  cell 2, line 2 uses it."
    ]


def test_class_that_the_targets_version_lacks_is_named_with_its_use_and_the_remedy(only_here):
    found = lacked(_asking(only_here, "cfg"), ["only_here.things:Own", "unknown"])
    assert [str(each) for each in found] == [
        "`cfg` holds only_here.things.Own, and the target's only_here has no such thing. Remedy: "
        "make `cfg` in a remote cell, or send plain data (lists, dictionaries, CSV)\n"
        "  cell 2, line 2 uses it."
    ]


def test_class_of_a_package_with_versions_can_be_had_by_this_machines():
    program = _program({})
    said = str(lacked(program, ["numpy:dtype"])[0])
    assert f", or put `%pip install numpy=={HERE}` into a set-up cell" in said


def test_module_of_this_pythons_own_library_is_not_to_be_installed():
    # As tomllib is below Python 3.11, and many an old one above 3.12.
    names = Names({"table": types})
    cell = Cell("h", "handler", "", "cell 2", "def handler(job):\n    return table")
    assert str(lacked(build([cell], names), ["types"])[0]) == (
        "`table` comes from types, and the target has no module types. Remedy: it is of this "
        "Python's own library: use what the target's Python has, too\n  cell 2, line 2 uses it."
    )


def test_everything_that_the_target_lacks_is_said_once(only_here):
    program = _asking(only_here, "cfg, find, lib")
    assert [each.name for each in lacked(program, program.needs) if "only_here" in str(each)] == [
        "cfg", "find", "lib",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line", ["only-here", "'Only.Here>=2'", "git+https://x/y.git", "./wheel", "not-known-here"]
)
def test_module_that_the_program_installs_is_not_needed(only_here, line):
    needs = _asking(only_here, "cfg", f"!pip install {line}\n").needs
    assert not any(need.startswith("only_here") for need in needs)


def test_another_requirement_does_not_bring_it(only_here):
    assert "only_here" in _asking(only_here, "cfg", "!pip install requests\n").needs


def test_local_module_is_not_needed(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("class Own: pass")
    monkeypatch.syspath_prepend(tmp_path)
    import mine

    values = {"mine": mine, "own": [mine.Own()]}
    names = Names(values, folder=tmp_path, path=[str(tmp_path)])
    program = build([Cell("s", "setup", "", "cell 2", "x = mine, own")], names)
    assert "mine.py" in program.files
    assert set(program.needs) <= {"pathlib", "pickle"}


def test_what_is_sent_all_the_same_needs_nothing_of_its_modules(only_here):
    values = {"cfg": [only_here.Own()]}
    cell = Cell("h", "handler", "", "cell 2", "def handler(job):\n    return cfg")
    program = build([cell], Names(values, send=["cfg"]))
    assert "only_here.things:Own" not in program.needs


def test_needs_come_back_with_a_program_from_elsewhere(only_here):
    program = _asking(only_here, "cfg")
    again = type(program).from_wire(program.to_wire())
    assert again.needs == program.needs
    assert [*map(str, lacked(again, again.needs))] == [*map(str, lacked(program, program.needs))]


def test_compiled_functions_inside_values_need_no_module_of_their_kind():
    """As pandas' objects: their types' modules cannot be imported, and are not asked for."""
    pandas = pytest.importorskip("pandas")
    names = Names({"table": pandas.DataFrame({"a": [1.5, 2.5]})})
    cell = Cell("h", "handler", "", "cell 2", "def handler(job):\n    return len(table)")
    tops = {need.partition(":")[0].partition(".")[0] for need in build([cell], names).needs}
    assert {"pandas", "numpy"} <= tops <= {"pandas", "numpy", "builtins", "pathlib", "pickle"}


LINE = 'cfg = pickle.loads((pathlib.Path(__file__).parent / "data" / "cfg-1.pkl").read_bytes())'


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Can't get attribute 'Own' on <module 'numpy' from '/x.py'>",
         f": `cfg[0]` is of numpy.ndarray, and it may have another numpy. Remedy: make `cfg` in a "
         f"remote cell, or send plain data, or put `%pip install numpy=={HERE}`"),
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
