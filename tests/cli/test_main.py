"""The command as a shell sees it: help, exit codes, one sentence for an error."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from rpnb import __version__
from rpnb.cli.main import app
from rpnb.cli.ps import line, running
from rpnb.cli.stop import chosen
from rpnb.errors import BadInput
from tests.cli.books import HANDLER, book
from tests.cli.shell import rpnb


def invoke(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def test_help_names_every_command():
    shown = invoke("--help")
    assert shown.exit_code == 0
    for command in ("run", "test", "export", "ps", "stop"):
        assert f"\n  {command} " in shown.output


def test_version_is_the_packages():
    assert invoke("--version").output == f"{__version__}\n"


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from rpnb.cli.main import app\n"
        "heavy = {'IPython', 'paramiko', 'nbformat', 'nbclient', 'rich', 'numpy', 'runpod'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "missing.ipynb"],
        ["run", "missing.py"],
        ["export", "missing.ipynb"],
        ["test", "missing.ipynb"],
        ["export", "n.ipynb", "--check", "--force"],
        ["run", "n.ipynb", "--input", "{", "--target", "local"],
        ["run", "n.ipynb", "--input", "1", "--target", "-oProxyCommand=x"],
    ],
)
def test_error_is_one_sentence_and_exit_2(arguments, tmp_path):
    book(tmp_path / "n.ipynb", HANDLER)
    done = rpnb(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("rpnb: ")
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_debug_shows_the_traceback():
    assert "Traceback" in rpnb("run", "missing.py", RPNB_DEBUG="1").stderr


def test_no_target_lists_the_forms(tmp_path):
    (tmp_path / "handler.py").write_text("def handler(job): ...\n")
    done = rpnb("run", "handler.py", "--input", "1", cwd=tmp_path, RPNB_TARGET="")
    assert (done.returncode, "user@" in done.stderr) == (2, True)


def test_unknown_option_is_exit_2():
    assert rpnb("run", "n.ipynb", "--inputs", "1").returncode == 2


WORKER = {"worker": "demo-1a2b#cli", "alive": True, "relay": True, "bytes": 12_300_000}


def test_ps_line_leads_with_the_target():
    assert line("local", WORKER) == "local │ demo-1a2b#cli │ warm │ 12 MB"


def test_ps_leaves_out_what_holds_nothing():
    assert running([WORKER, {"worker": "old", "alive": False, "relay": False}]) == [WORKER]


def test_stop_takes_a_name_with_its_command_line_worker():
    known = ["demo-1a2b", "demo-1a2b#cli", "other-9f"]
    assert chosen("demo-1a2b", known, "local") == known[:2]
    assert chosen("demo-1a2b#cli", known, "local") == known[1:2]
    assert chosen(None, known, "local") == known


def test_stop_of_an_unknown_worker_lists_those_there():
    with pytest.raises(BadInput, match=r"no worker nobody\. There are: demo"):
        chosen("nobody", ["demo"], "local")
