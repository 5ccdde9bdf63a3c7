"""`%pip install -r FILE` and `-c FILE`: the file's lines count as if the cell had named them."""

from __future__ import annotations

import pytest

from rpnb.errors import ProgramError
from rpnb.program.build import build
from rpnb.program.cells import Cell
from rpnb.program.names import Names

FILES = {
    "requirements.txt": """\
# what production has
numpy==2.0.1   # pinned
requests[socks]>=2,<3 ; python_version >= "3.9"
--index-url https://index.example/simple
-r more/base.txt
long-name \\
    >=1.0
secure==1.0 --hash=sha256:abc
url @ https://files.example/url-1.0.tar.gz#sha256=abc
""",
    "more/base.txt": "\ufeffpillow\n-c limits.txt\n-r ../requirements.txt\n${RPNB_TEST_WANTED}\n",
    "more/limits.txt": "urllib3<2\n-r deep.txt\n",
    "more/deep.txt": "idna<4\n",
    "odd.txt": "./wheels/x.whl\n-e ../lib\n--pre\n--no-deps\n",
    "broken.txt": "ok\n-r gone.txt\n",
}
ASKED = [
    *("numpy==2.0.1", 'requests[socks]>=2,<3 ; python_version >= "3.9"', "pillow", "from-here"),
    *(
        "long-name     >=1.0",
        "secure==1.0",
        "url @ https://files.example/url-1.0.tar.gz#sha256=abc",
    ),
]


@pytest.fixture
def built(tmp_path, monkeypatch):
    """The program of one set-up cell beside the files."""
    monkeypatch.setenv("RPNB_TEST_WANTED", "from-here")
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")

    def make(source):
        cell = Cell("s1", "setup", "", "cell 3", source, 2)
        return build([cell], Names({}, folder=tmp_path))

    return make


@pytest.mark.parametrize(
    "line",
    [
        *("%pip install -r requirements.txt", "!pip install -rrequirements.txt -q"),
        *("%pip install --requirement=requirements.txt", "!uv pip install -r ./requirements.txt"),
    ],
)
def test_lines_of_a_requirements_file_count_and_of_those_that_it_names(built, line):
    program = built(f"{line}\nx = 1")
    places = ("--index-url=https://index.example/simple",)
    limits = ("--constraint=urllib3<2", "--constraint=idna<4")
    assert program.requirements == (*places, *limits, *ASKED)
    assert program.text.count(f"# {line}") == 1


def test_requirements_files_travel_and_are_exported_beside_the_handler(built):
    program = built("%pip install -r requirements.txt")
    names = {"requirements.txt", "more/base.txt", "more/limits.txt", "more/deep.txt"}
    assert set(program.files) == names
    assert program.content("requirements.txt") == FILES["requirements.txt"].encode()


def test_every_line_of_a_constraints_file_is_a_constraint(built):
    program = built("%pip install x -c more/limits.txt")
    assert program.requirements == ("--constraint=urllib3<2", "--constraint=idna<4", "x")


def test_what_lies_here_only_is_left_out_with_its_place(built):
    program = built("%pip install -r odd.txt")
    assert program.requirements == ("--pre",)
    assert [note.partition(":")[0] for note in program.notes] == [
        f"odd.txt, line {n} (which cell 3, line 2 reads)" for n in (1, 2, 4)
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-r gone.txt", r"cell 3, line 4: `-r gone.txt` names a file that is not there: /"),
        (
            "-r broken.txt",
            r"broken.txt, line 2 \(which cell 3, line 4 reads\): `-r gone.txt` names",
        ),
        ("-r binary.txt", r"cell 3, line 4: /.*binary.txt cannot be read"),
        ("-r more", r"cell 3, line 4: /.*more cannot be read"),
    ],
)
def test_file_that_is_not_there_is_an_error_with_cell_and_line(built, line, said):
    with pytest.raises(ProgramError, match=said):
        built(f"x = 1\n\n%pip install {line}")
