import sys
import types
from importlib.util import spec_from_file_location

import pytest

from rpnb.errors import CannotCapture
from rpnb.program.build import build
from rpnb.program.cells import Cell
from rpnb.program.handler_file import from_file, names_for
from rpnb.program.names import Names


def write(folder, files):
    for path, text in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def files_of(folder, source):
    cell = Cell("a", "setup", "", "cell 1", source, 2)
    return set(build([cell], Names({}, folder=folder, path=[])).files)


def test_module_beside_the_notebook_travels(tmp_path):
    write(tmp_path, {"predict.py": "x = 1", "other.py": "y = 1"})
    assert files_of(tmp_path, "import predict") == {"predict.py"}


def test_package_travels_with_its_data(tmp_path):
    write(tmp_path, {"pkg/__init__.py": "", "pkg/sub/a.py": "", "pkg/words.txt": "a",
                     "pkg/__pycache__/a.pyc": "x", "pkg/.git/config": "x"})  # fmt: skip
    found = {"pkg/__init__.py", "pkg/sub/a.py", "pkg/words.txt"}
    assert files_of(tmp_path, "from pkg.sub import a") == found


def test_imports_are_followed(tmp_path):
    write(tmp_path, {"a.py": "def f():\n    import b", "b.py": "from c import x", "c.py": "x = 1"})
    assert files_of(tmp_path, "import a") == {"a.py", "b.py", "c.py"}


def test_import_cycle_ends(tmp_path):
    write(tmp_path, {"a.py": "import b", "b.py": "import a"})
    assert files_of(tmp_path, "import a") == {"a.py", "b.py"}


def test_late_import_in_a_cell_travels(tmp_path):
    write(tmp_path, {"late.py": ""})
    assert files_of(tmp_path, "def f():\n    import late") == {"late.py"}


def test_import_by_name_travels(tmp_path):
    write(tmp_path, {"plugin.py": ""})
    source = "import importlib\np = importlib.import_module('plugin')"
    assert files_of(tmp_path, source) == {"plugin.py"}


BY_NAME = {
    "f'plugins.{N}'": "plugins",
    "'plugins.' + N": "plugins",
    "'.a', 'plugins'": "plugins",
    "'.a', package='plugins'": "plugins",
    "name='one'": "one",
    "n) for n in ('one', 'two'": "one two",
    "PICKED": "",
}
FOUND = {"plugins": {"plugins/__init__.py", "plugins/a.py"}, "one": {"one.py"}, "two": {"two.py"}}


@pytest.mark.parametrize("given", BY_NAME)
def test_module_whose_name_is_worked_out_travels_where_a_string_names_it(tmp_path, given):
    write(tmp_path, {"plugins/__init__.py": "", "plugins/a.py": "", "one.py": "", "two.py": "",
                     "handler.py": ""})  # fmt: skip
    source = (
        f"import importlib\nN = PICKED = 'a'\ns = {{'handler': [importlib.import_module({given})]}}"
    )
    travelling = [FOUND[each] for each in BY_NAME[given].split()]
    assert files_of(tmp_path, source) == set().union(*travelling)


def test_string_names_a_module_for_a_loader_of_another_file_alone(tmp_path):
    write(tmp_path, {"loader.py": "from importlib import import_module\n"
                     "def get(n): return import_module(n)", "one.py": ""})  # fmt: skip
    assert files_of(tmp_path, "import loader\nloader.get('one')") == {"loader.py", "one.py"}
    assert files_of(tmp_path, "s = 'one'") == set()


def test_namespace_package_travels_with_its_modules_only(tmp_path):
    write(tmp_path, {"lib/a.py": "", "lib/big.bin": "x"})
    assert files_of(tmp_path, "from lib import a") == {"lib/a.py"}


def test_namespace_package_travels_with_what_lies_deeper(tmp_path):
    """`from src.nets.small import Net` is what many a project writes, without `__init__.py`."""
    write(tmp_path, {"src/nets/small.py": "", "src/nets/big.bin": "x", "src/run-1/copy.py": "",
                     "src/kit/__init__.py": "", "src/kit/words.txt": "", "src/.git/a.py": "",
                     "src/__pycache__/a.py": ""})  # fmt: skip
    found = {"src/nets/small.py", "src/kit/__init__.py", "src/kit/words.txt"}
    assert files_of(tmp_path, "from src.nets.small import Net") == found


def test_environment_of_python_inside_a_package_stays_and_a_part_of_that_name_travels(tmp_path):
    write(tmp_path, {"pkg/__init__.py": "", "pkg/env/__init__.py": "", "pkg/env/grid.py": "",
                     "pkg/venv/pyvenv.cfg": "", "pkg/venv/lib/x.py": ""})  # fmt: skip
    found = {"pkg/__init__.py", "pkg/env/__init__.py", "pkg/env/grid.py"}
    assert files_of(tmp_path, "import pkg.env") == found


def test_folder_named_like_an_installed_module_is_not_that_module(tmp_path):
    write(tmp_path, {"numpy/notes.py": "", "json/a.py": ""})
    assert files_of(tmp_path, "import numpy, json") == set()


def test_module_named_like_an_installed_one_shadows_it(tmp_path):
    write(tmp_path, {"numpy.py": ""})
    assert files_of(tmp_path, "import numpy") == {"numpy.py"}


def test_folder_put_on_sys_path_keeps_its_place(tmp_path):
    write(tmp_path, {"src/tool.py": ""})
    source = "import sys\nsys.path.append('src')\nimport tool"
    assert files_of(tmp_path, source) == {"src/tool.py"}


def test_installed_modules_stay_where_they_are(tmp_path):
    assert files_of(tmp_path, "import json, numpy, runpod, rpnb") == set()


def test_editable_install_travels_with_its_data(tmp_path, monkeypatch):
    """Found by an import hook, as those of setuptools and hatch that put no folder on the path."""
    package = tmp_path / "project" / "src" / "mine_e"
    write(package, {"__init__.py": "import tool_e", "deep/a.py": "", "words.txt": ""})
    write(package.parent, {"tool_e.py": ""})
    places = {"mine_e": package / "__init__.py", "tool_e": package.parent / "tool_e.py"}

    def find_spec(name, path=None, target=None):
        return spec_from_file_location(name, places[name]) if name in places else None

    finder = types.SimpleNamespace(find_spec=find_spec)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, finder])
    found = {"mine_e/__init__.py", "mine_e/deep/a.py", "mine_e/words.txt", "tool_e.py"}
    assert files_of(tmp_path, "import mine_e") == found


def test_module_with_a_syntax_error_travels_as_it_is(tmp_path):
    write(tmp_path, {"broken.py": "def ("})
    assert files_of(tmp_path, "import broken") == {"broken.py"}


def test_package_that_is_too_large_is_refused(tmp_path):
    write(tmp_path, {"pkg/__init__.py": ""})
    with (tmp_path / "pkg/weights.bin").open("wb") as file:
        file.truncate(70 << 20)
    with pytest.raises(CannotCapture, match=r"`pkg` holds 73 MB.*Remedy: keep its data outside"):
        files_of(tmp_path, "import pkg")


def test_module_of_a_captured_function_travels(notebook, monkeypatch):
    write(notebook.folder, {"tools_of_mine.py": "def double(x): return 2 * x"})
    monkeypatch.syspath_prepend(notebook.folder)
    notebook.cell("import tools_of_mine as t\nfrom tools_of_mine import double\n"
                  "def f(x): return t.double(double(x))")  # fmt: skip
    notebook.setup("s = f(1)")
    assert notebook.remote_value("s") == 4


def test_module_of_a_captured_value_travels(notebook, monkeypatch):
    write(notebook.folder, {"shapes_of_mine.py": "class Box:\n    def __init__(self): self.v = 3"})
    monkeypatch.syspath_prepend(notebook.folder)
    notebook.cell("import shapes_of_mine\nbox = shapes_of_mine.Box()")
    notebook.setup("s = box.v")
    assert notebook.remote_value("s") == 3


def test_handler_file_brings_its_siblings(tmp_path):
    text = 'import utils\nimport runpod\nrunpod.serverless.start({"handler": utils.run})\n'
    write(tmp_path, {"handler.py": text, "utils.py": "def run(job): ..."})
    path = tmp_path / "handler.py"
    program = build(from_file(path), names_for(path))
    assert (program.text, set(program.files), program.handler) == (text, {"utils.py"}, "utils.run")


def test_folder_that_a_cell_adds_to_the_search_path_is_searched(tmp_path):
    write(tmp_path, {"src/helpers.py": "import inner", "src/deep/inner.py": ""})
    source = (
        "import os, sys\nROOT = os.path.join(os.getcwd(), 'src')\n"
        "sys.path[:0] = [ROOT, ROOT + '/deep']\nimport helpers"
    )
    assert files_of(tmp_path, source) == {"src/helpers.py", "src/deep/inner.py"}


def test_folder_that_a_module_adds_to_the_search_path_is_searched(tmp_path):
    text = "import sys, pathlib\nsys.path.append(str(pathlib.Path(__file__).parent / 'lib'))"
    write(tmp_path, {"pkg/__init__.py": "", "pkg/a.py": f"{text}\nimport b", "pkg/lib/b.py": ""})
    write(tmp_path, {"a.py": f"{text}\nimport c", "lib/c.py": ""})
    assert files_of(tmp_path, "import a") == {"a.py", "lib/c.py"}


def test_module_above_the_notebook_lies_beside_the_program(tmp_path):
    write(tmp_path, {"shared.py": "", "notebooks/x.txt": ""})
    source = "import sys\nsys.path.append('..')\nimport shared"
    assert files_of(tmp_path / "notebooks", source) == {"shared.py"}
