"""What a Python says of where its modules are, against what it can import."""

import json
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from rpnb.agent import worker_installed
from rpnb.agent.lacking import lacking

ROOT = Path(__file__).parents[2]
SAY = "import json; from rpnb.agent.worker_installed import search; print(json.dumps(search()))"


def said(*path, before=""):
    """What a fresh Python says of itself with these places on its search path."""
    done = subprocess.run(
        [sys.executable, "-c", f"{before}\n{SAY}", *map(str, path)],
        env={"PYTHONPATH": ":".join(map(str, (ROOT, *path)))}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def lacks(needs, *path, before=""):
    return lacking(needs, {"search": said(*path, before=before)})


def test_every_module_that_is_there_is_found():
    names = ["sys", "json", "_socket", "numpy", "PIL", "cloudpickle"]
    names += [name for name in sys.stdlib_module_names if find_spec(name)]
    assert lacks(names) == []


def test_what_is_not_there_is_lacking():
    assert lacks(["no_such_module", "no_such_module:Thing"]) == [
        "no_such_module",
        "no_such_module:Thing",
    ]


@pytest.mark.parametrize("kind", ["one.py", "one/__init__.py", "one/deep.py"])
def test_module_in_a_folder_of_the_path_is_found_also_where_it_came_later(tmp_path, kind):
    search = said(tmp_path)
    assert lacking(["one"], {"search": search}) == ["one"]
    file = tmp_path / kind
    file.parent.mkdir(exist_ok=True)
    file.touch()
    assert lacking(["one"], {"search": search}) == []


def test_module_in_an_archive_of_the_path_is_found(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("one/__init__.py", "")
        archive.writestr("two.py", "")
    assert lacks(["one", "two", "three"], tmp_path / "all.zip") == ["three"]


def test_editable_install_is_found_by_its_finder():
    finder = (
        "import sys, types\nm = types.ModuleType('__editable___x_finder')\n"
        "m.MAPPING = {'mine': '/x'}\nclass F:\n    @classmethod\n"
        "    def find_spec(cls, *a): return None\n"
        "F.__module__ = m.__name__\nsys.modules[m.__name__] = m\nsys.meta_path.append(F)"
    )
    assert lacks(["mine", "mine:K", "other"], before=finder) == ["other"]


@pytest.mark.parametrize(
    ("name", "known"), [("_Finder", ["nowhere"]), ("F", [])], ids=["virtualenv, uv", "unknown"]
)
def test_import_hook_that_may_know_more_leaves_it_open(name, known):
    hook = (
        f"import sys\nclass {name}:\n    def find_spec(self, *a): return None\n"
        f"sys.meta_path.append({name}())"
    )
    assert lacks(["nowhere"], before=hook) == known


def test_versions_are_of_packages_whose_values_travel():
    assert "numpy" in worker_installed.packages()
