"""What a Python says it has, against what it can import."""

import json
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from rpnb.agent import worker_installed

ROOT = Path(__file__).parents[2]
SAY = "import json; from rpnb.agent.worker_installed import modules; print(json.dumps(modules()))"


def said(*path, before=""):
    """What a fresh Python says of itself with these places on its search path."""
    done = subprocess.run(
        [sys.executable, "-c", f"{before}\n{SAY}", *map(str, path)],
        env={"PYTHONPATH": ":".join(map(str, (ROOT, *path)))}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_module_that_is_there_is_named():
    names = set(said())
    assert {"sys", "json", "_socket", "numpy", "PIL", "cloudpickle"} <= names
    missing = [name for name in sys.stdlib_module_names if name not in names and find_spec(name)]
    assert missing == []


def test_what_is_not_there_is_not_named():
    assert "no_such_module" not in said()


@pytest.mark.parametrize("kind", ["one.py", "one/__init__.py", "one/deep.py"])
def test_module_in_a_folder_of_the_path_is_named(tmp_path, kind):
    file = tmp_path / kind
    file.parent.mkdir(exist_ok=True)
    file.touch()
    assert "one" in said(tmp_path)


def test_module_in_an_archive_of_the_path_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("one/__init__.py", "")
        archive.writestr("two.py", "")
    assert {"one", "two"} <= set(said(tmp_path / "all.zip"))


def test_editable_install_is_named_by_its_finder():
    finder = (
        "import sys, types\nm = types.ModuleType('__editable___x_finder')\n"
        "m.MAPPING = {'mine': '/x'}\nclass F:\n    @classmethod\n"
        "    def find_spec(cls, *a): return None\n"
        "F.__module__ = m.__name__\nsys.modules[m.__name__] = m\nsys.meta_path.append(F)"
    )
    assert "mine" in said(before=finder)


def test_with_an_unknown_import_hook_nothing_is_said():
    hook = (
        "import sys\nclass F:\n    def find_spec(self, *a): return None\nsys.meta_path.append(F())"
    )
    assert said(before=hook) is None


def test_versions_are_of_packages_whose_values_travel():
    assert "numpy" in worker_installed.packages()
