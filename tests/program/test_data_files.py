import pytest

from rpnb.program.build import build
from rpnb.program.cells import Cell
from rpnb.program.data_files import left_behind
from rpnb.program.names import Names

FILES = ("config.json", "data/a.txt", "data/deep/b.txt", "data/.hidden", "other.txt")


def sent(folder, source, **more):
    for path, text in {**dict.fromkeys(FILES, "x"), **more}.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    cell = Cell("a", "setup", "", "cell 1", source, 2)
    return set(build([cell], Names({}, folder=folder, path=[])).files)


@pytest.mark.parametrize(
    ("source", "files"),
    [
        ("import os\nopen(os.path.join(os.path.dirname(__file__), 'config.json'))", "config.json"),
        ("import pathlib\nx = (pathlib.Path(__file__).parent / 'data' / 'a.txt').read_text()",
         "data/a.txt"),
        ("from pathlib import Path\nHERE = Path(__file__).resolve().parent\ndef f():\n"
         "    return open(HERE / 'other.txt')", "other.txt"),
        ("import os\nH = os.path.dirname(os.path.abspath(__file__))\nopen(f'{H}/config.json')",
         "config.json"),
        ("from pathlib import Path\nD = Path(__file__).parent / 'data'",
         "data/a.txt data/deep/b.txt"),
        ("from pathlib import Path\nx = Path(__file__).parent / 'not_there.txt'", ""),
        ("from pathlib import Path\nx = Path(__file__).parent.parent / 'above.txt'", ""),
        ("open('config.json')", ""),
        ("import sys, os\nsys.path.append(os.path.join(os.path.dirname(__file__), 'data'))", ""),
        ("import sys, os\nH = os.path.dirname(__file__)\nsys.path.append(H)\n"
         "open(os.path.join(H, 'config.json'))", "config.json"),
    ],
)  # fmt: skip
def test_files_named_by_file_travel(tmp_path, source, files):
    assert sent(tmp_path, source) == set(files.split())


@pytest.mark.parametrize(
    ("here", "first", "second"),
    [
        ("", "from pathlib import Path", "x = (Path(__file__).parent / 'other.txt').read_text()"),
        ("from pathlib import Path", "", "x = (Path(__file__).parent / 'other.txt').read_text()"),
        (
            "",
            "import pathlib\nHERE = pathlib.Path(__file__).parent",
            "x = open(HERE / 'other.txt')",
        ),
        ("import os\nname = 'other.txt'", "D = os.path.dirname(__file__)", "open(f'{D}/{name}')"),
    ],
)
def test_file_named_by_what_another_cell_has_travels(tmp_path, here, first, second):
    (tmp_path / "other.txt").write_text("x")
    kernel = dict[str, object]()
    exec(here, kernel)
    cells = [Cell(text, "setup", "", "cell", text, 2) for text in (first, second)]
    found = build(cells, Names(kernel, folder=tmp_path, path=[]))
    assert set(found.files) == {"other.txt"}


def test_data_of_a_module_travels_with_it(tmp_path):
    text = "import pathlib\nW = (pathlib.Path(__file__).parent / 'data' / 'a.txt').read_text()"
    assert sent(tmp_path, "import predict", **{"predict.py": text}) == {"predict.py", "data/a.txt"}


def test_script_named_by_file_brings_its_modules(tmp_path):
    source = "import os\nserver = os.path.join(os.path.dirname(__file__), 'server.py')"
    more = {"server.py": "import routes", "routes.py": ""}
    assert sent(tmp_path, source, **more) == {"server.py", "routes.py"}


def test_environment_of_python_inside_a_folder_stays_and_a_folder_of_that_name_travels(tmp_path):
    source = "import os\nD = os.path.join(os.path.dirname(__file__), 'levels')"
    more = {"levels/env/one.txt": "", "levels/venv/pyvenv.cfg": "", "levels/venv/lib/x.py": ""}
    assert sent(tmp_path, source, **more) == {"levels/env/one.txt"}


def test_folder_over_the_limit_stays_here(tmp_path, monkeypatch):
    monkeypatch.setattr("rpnb.program.data_files._LIMIT_BYTES", 1)
    assert sent(tmp_path, "import os\nD = os.path.join(os.path.dirname(__file__), 'data')") == set()


def test_file_over_the_limit_that_a_run_missed_is_told_what_to_do(tmp_path):
    source = "import pathlib\nx = (pathlib.Path(__file__).parent / 'big.bin').read_bytes()"
    with (tmp_path / "big.bin").open("wb") as file:
        file.truncate((64 << 20) + 1)
    assert sent(tmp_path, source) == set()
    said = left_behind(source, set(), tmp_path)
    assert said and said.startswith("`big.bin` lies beside the notebook and is over 64 MB")
    assert "__file__" not in said


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("open('./data/a.txt')", ["data/a.txt"]),
        ("import subprocess\nsubprocess.Popen(['python', '-u', 'other.txt'])", ["other.txt"]),
        ("open('/config.json'); open('../config.json'); open('nope.json')", []),
        ("job = {'data': 1}; job['data']; x = 'a text. With words'; y = f'{x}.txt'", []),
        ("open('config.json')", []),
    ],
)
def test_plain_names_of_files_that_did_not_travel_are_named(tmp_path, source, names):
    sent(tmp_path, source)
    said = left_behind(source, {"config.json"}, tmp_path) or ""
    assert [each for each in (*FILES, "nope.json") if f"`{each}`" in said] == names
