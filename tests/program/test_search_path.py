from pathlib import Path

import pytest

from rpnb.program.search_path import added

ROOT = Path("/home/me/project")


def found(text, file="handler.py"):
    return [(str(each.here), each.beside) for each in added(
        text, ROOT / file, beside=file, cwd=ROOT)]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        'import sys\nsys.path.append("src")',
        'import sys\nsys.path.insert(0, "./src/")',
        'import sys as s\ns.path.insert(0, "src")',
        'from sys import path\npath.append("src")',
        'sys.path += ["src"]',
        'sys.path[:0] = ["src"]',
        'sys.path = ["src"] + sys.path',
        'sys.path.extend(("src",))',
        'import site\nsite.addsitedir("src")',
        'import os\nsys.path.append(os.path.join(os.getcwd(), "src"))',
        'import os.path as p\nsys.path.append(p.join(p.dirname(p.abspath(__file__)), "src"))',
        "from os.path import *\nimport os\nsys.path.append(os.path.abspath('src'))",
        'from pathlib import Path\nsys.path.append(str(Path(__file__).resolve().parent / "src"))',
        'from pathlib import Path\nROOT = Path.cwd()\nsys.path.append(f"{ROOT}/src")',
        'import os\nhere = os.getcwd()\nsys.path.append(here + "/src")',
        'import pathlib\nsys.path.append(pathlib.Path(__file__).parent.joinpath("src").as_posix())',
        'from pathlib import Path\nsys.path.append(str(Path("a/b").parents[1] / "src"))',
        'if (p := "src") not in sys.path:\n    sys.path.append(p)',
        'def add():\n    for each in ["src"]:\n        sys.path.append(each)',
    ],
)
def test_folder_inside_the_project_keeps_its_place(text):
    assert found(text) == [("/home/me/project/src", "src")]


@pytest.mark.parametrize(
    "text",
    [
        'sys.path.append("../lib")',
        'import os\nsys.path.append(os.path.abspath("../lib"))',
        'from pathlib import Path\nsys.path.append(str(Path(__file__).parents[1] / "lib"))',
        'sys.path.append("/home/me/lib")',
    ],
)
def test_folder_above_the_project_lies_beside_the_program(text):
    assert found(text) == [("/home/me/lib", "")]


def test_absolute_folder_inside_the_project_is_not_there_on_the_target():
    assert found('sys.path.append("/home/me/project/src")') == [("/home/me/project/src", "")]


def test_module_adds_folders_beside_itself():
    text = 'import os\nsys.path.append(os.path.join(os.path.dirname(__file__), "deep"))'
    assert found(text, "src/a.py") == [("/home/me/project/src/deep", "src/deep")]


def test_several_are_kept_in_order():
    text = 'for p in ("a", "b"):\n    sys.path.append(p)\nsys.path.append("c")'
    assert [beside for _, beside in found(text)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "text",
    [
        "sys.path.append(os.environ['X'])",
        "p = p + '/a'\nsys.path.append(p)",
        "sys.path.append(3)",
        "path.append('src')",
        "sys.path.append('src'",
        "print('src')",
        "from pathlib import Path\nsys.path.append(Path('a').parents[7])",
    ],
)
def test_what_only_a_run_can_tell_adds_nothing(text):
    assert found(text) == []
