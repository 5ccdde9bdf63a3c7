import time

import pytest

from rpnb.errors import BadSyntax
from rpnb.program.ipython_syntax import translate

RUN = "subprocess.run({}, shell=True)"
LINES = "subprocess.run({}, shell=True, capture_output=True, text=True).stdout.splitlines()"
TEXTS = {
    "%pip install x": "# %pip install x",
    "!pip install x": "# !pip install x",
    "out = !pip install x": "out = []  # out = !pip install x",
    "%env A=1": "# %env A=1",
    "%matplotlib inline": "# %matplotlib inline",
    "x?": "# x?",
    "?x.y": "# ?x.y",
    "x.y??": "# x.y??",
    "%time x = f()": "x = f()",
    "y = %time f()": "y = f()",
    "!ls -l": RUN.format("'ls -l'"),
    "!ls {folder}": RUN.format("f'ls {folder}'"),
    "!awk '{print $1}' f": RUN.format('''"awk '{print $1}' f"'''),
    "n = 1\n!ls $n $HOME $$": "n = 1\n" + RUN.format("f'ls {n} $HOME $$'"),
    "def f(p):\n    !ls $p": "def f(p):\n    " + RUN.format("f'ls {p}'"),
    "!ls {d['a']} 'x'": RUN.format("""\"ls {} 'x'\".format(d['a'])"""),
    """!ls {d["a"]} {n} {{n}}""": RUN.format("""'ls {} {} {{n}}'.format(d["a"], n)"""),
    "!ls {x if y else 'z'}": RUN.format("'ls {}'.format(x if y else 'z')"),
    "!ls ${HOME}/x": RUN.format("'ls ${HOME}/x'"),
    "!ls ${HOME}/{n}": RUN.format("f'ls ${{HOME}}/{n}'"),
    """!curl -d '{"a": {"b": 1}}' u""": RUN.format("""'curl -d \\'{"a": {"b": 1}}\\' u'"""),
    "k = %env HOME": "k = os.environ['HOME']",
    "k = %env": "k = os.environ",
    "!ls $HOME": RUN.format("'ls $HOME'"),
    "a = !ls": "a = " + LINES.format("'ls'"),
    "if x:\n    !ls": "if x:\n    " + RUN.format("'ls'"),
    "if x:\n    %timeit f()": "if x:\n    pass  # %timeit f()",
    "!ls \\\n  -l\nx = 1": RUN.format("'ls -l'") + "\n\nx = 1",
    's = """\n!ls\n%time\n"""\n!ls': 's = """\n!ls\n%time\n"""\n' + RUN.format("'ls'"),
    "y = (7\n%3)\n!ls": "y = (7\n%3)\n" + RUN.format("'ls'"),
    "x = 7 % 3": "x = 7 % 3",
    "def (": "def (",
}


@pytest.mark.parametrize("text", TEXTS)
def test_ipython_line_gets_its_meaning(text):
    assert translate(text).text == TEXTS[text]


@pytest.mark.parametrize("text", TEXTS)
def test_lines_stay_where_they_are(text):
    assert translate(text).text.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("%pip install -q a 'b>2'", ["a", "b>2"]),
        ("!pip3 install a==1", ["a==1"]),
        ("!python -m pip install a", ["a"]),
        ("!{sys.executable} -m pip install a", ["a"]),
        ("!uv pip install a", ["a"]),
        ("%pip install a --index-url https://x.org b", ["--index-url=https://x.org", "a", "b"]),
        ("%pip install -i https://x.org a", ["--index-url=https://x.org", "a"]),
        (
            "!pip install --extra-index-url=https://x.org a",
            ["--extra-index-url=https://x.org", "a"],
        ),
        ("%pip install --pre -U a", ["--pre", "a"]),
        ("%pip install --timeout 5 a", ["a"]),
        ("%pip install -r requirements.txt", []),
        ("!pip -q install a", ["a"]),
        ("!pip install -q a b > /dev/null 2>&1", ["a", "b"]),
        ("!pip install a &> log.txt", ["a"]),
        ("!pip install a 2>/dev/null | tail -n 1", ["a"]),
        ("!pip install a || echo failed", ["a"]),
        ("!pip install a && pip install -U b; uv pip install c", ["a", "b", "c"]),
        ("!pip install a  # for b; and so on", ["a"]),
        (
            "%pip install a>=2 'b>1,<3' \"c; python_version<'3.9'\"",
            ["a>=2", "b>1,<3", "c; python_version<'3.9'"],
        ),
    ],
)
def test_pip_lines_are_requirements(text, found):
    assert translate(text).requirements == found


@pytest.mark.parametrize("joined", ["&&", ";", "&"])
def test_another_command_beside_pip_install_is_an_error(joined):
    with pytest.raises(BadSyntax, match="line 1: `apt-get update` stands on one line with pip"):
        translate(f"!pip install a {joined} apt-get update")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("%env A={b}/x", "os.environ['A'] = f'{b}/x'"),
        ("b = 1\n%env A=$b", "os.environ['A'] = f'{b}'"),
    ],
)
def test_setting_that_a_name_would_fill_in_is_an_error_with_what_to_write(text, remedy):
    with pytest.raises(BadSyntax) as raised:
        translate(text)
    assert remedy in str(raised.value)


@pytest.mark.parametrize(
    ("text", "env"),
    [
        ("%env A=1 2", {"A": "1 2"}),
        ("%set_env A 1", {"A": "1"}),
        ("%env A", {}),
        ("%env", {}),
        ('%env A=$HOME/{"b": 1}', {"A": '$HOME/{"b": 1}'}),
    ],
)
def test_env_lines_are_settings(text, env):
    assert translate(text).env == env


def test_editable_install_is_not_read_and_noted():
    found = translate("%pip install -e ../lib")
    assert (found.requirements, found.files) == ([], [])
    assert found.notes == [
        "the cell, line 1: pip's -e ../lib is not read here: import it, and it travels"
    ]


def test_what_is_left_out_is_noted_with_its_place():
    found = translate("x = 1\n%matplotlib inline", label="cell 3", first_line=2)
    assert found.notes == [
        "cell 3, line 3: `%matplotlib` means nothing on the target and is left out"
    ]


@pytest.mark.parametrize(
    "text", ["x = 1\n%%bash\nls", "%%time\nx", "%cd x", "%run a.py", "r = %timeit -o f()"]
)
def test_magics_without_a_meaning_there_are_errors(text):
    with pytest.raises(BadSyntax, match="the cell, line"):
        translate(text)


@pytest.mark.parametrize(
    ("use", "remedy"),
    [
        ("a.n", r"'\n'.join(a)"),
        ("a.s", "' '.join(a)"),
        ("a.l", "`a`"),
        ("a.p", "pathlib.Path(line) for line in a"),
        ("a.fields(0)", "line.split()[0] for line in a"),
        ("a.grep('x')", "line for line in a if"),
    ],
)
def test_what_only_ipythons_list_can_do_is_an_error_with_a_remedy(use, remedy):
    with pytest.raises(BadSyntax, match="the cell, line 3") as raised:
        translate(f"a = !ls\n\nx = {use}")
    assert remedy in str(raised.value)


def test_lines_of_a_command_are_a_list():
    assert translate("a = !ls\na.sort()\nb.n").text.endswith("a.sort()\nb.n")


def test_many_lines_of_ipython_are_translated_in_bounded_time():
    began = time.process_time()
    assert translate("!x\n" * 5000).text.count("subprocess") == 5000
    text = 's = """\n' + "!x\n" * 5000 + '"""\n!x'
    assert translate(text).text.count("subprocess") == 1
    with pytest.raises(BadSyntax, match="too many lines that begin with % or !"):
        translate("(\n" + "!)(\n" * 5000)
    assert time.process_time() - began < 15


def test_line_below_an_indented_one_is_told_from_one_in_a_string():
    text = 'if x:\n    !a\n    if y:\n        !b\n    !c\nt = """\n!d\n"""\n!e'
    found = translate(text).text
    assert [each for each in "abcde" if RUN.format(f"'{each}'") in found] == ["a", "b", "c", "e"]
