import io
import json
import os
import stat
import sys
import zipfile
from pathlib import Path

import pytest

from rpnb import errors
from rpnb.session import agent, bootstrap
from rpnb.transport.local import LocalTransport
from rpnb.transport.targets import Kind, Target, parse

FAKE_AGENT = """
import json, os, sys
said = {
    "ready": {"socket": os.environ["RPNB_HOME"] + "/run/w 1/socket", "worker": "w 1",
              "root": os.environ["RPNB_HOME"], "sdk": "1.12.0", "python": sys.executable}
}
print(json.dumps({"progress": "installing runpod"}))
listed = {"workers": [{"worker": "w 1", "argv": sys.argv[1:]}]}
print(json.dumps(said if sys.argv[1] == "start" else listed))
"""


class Counting(LocalTransport):
    """Commands run in a shell here, as sshd would run them there."""

    def __init__(self, target):
        super().__init__(target)
        self.commands = []

    def run(self, command, stdin=b"", on_line=None):
        self.commands.append(command)
        return super().run(command, stdin, on_line)


def zipped(main):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        # ZipInfo has no clock in it: two packings are the same bytes.
        archive.writestr(zipfile.ZipInfo("__main__.py"), main)
    return packed.getvalue()


def carry(monkeypatch, main, name="0123456789ab"):
    """Let rpnb carry another agent: one that answers, and starts nothing."""
    packed = zipped(main)
    monkeypatch.setattr(agent, "pack", lambda: (packed, name))


@pytest.fixture
def box(tmp_path, monkeypatch):
    """A target with an empty home and one Python on its PATH; a login prints a greeting."""
    for name in ("RPNB_HOME", "VIRTUAL_ENV", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "python3").symlink_to(sys.executable)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{commands}:/usr/bin:/bin")
    monkeypatch.setattr("rpnb.session.probe.CANDIDATES", ("python3", "python-other"))
    carry(monkeypatch, FAKE_AGENT)
    return Counting(Target(Kind.SSH, host="box"))


def put_python(box_path, name, answer):
    """A command that answers the probe's question like some other Python."""
    path = box_path / "bin" / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\nprintf '%s' '{answer}'\n")
    path.chmod(0o755)


def test_start_on_a_new_target_takes_two_commands(box, tmp_path):
    ready = bootstrap.start(box, "w 1")
    assert len(box.commands) == 2
    assert ready.socket == f"{tmp_path}/home/.cache/rpnb/run/w 1/socket"


def test_start_where_the_agent_is_takes_one_command(box):
    bootstrap.start(box, "w 1")
    bootstrap.start(box, "w 1")
    assert len(box.commands) == 3


def test_agent_that_somebody_else_put_there_is_not_run(box, tmp_path):
    """RPNB_HOME may name a folder in which anybody can write."""
    bootstrap.start(box, "w 1")
    [path] = (tmp_path / "home/.cache/rpnb").iterdir()
    path.write_bytes(zipped("import sys; sys.exit('theirs')"))
    os.chown(path, 12345, -1)
    path.parent.chmod(0o777)
    bootstrap.start(box, "w 1")
    assert path.read_bytes() == agent.pack()[0]


def test_start_reports_what_the_agent_reports(box):
    said = []
    bootstrap.start(box, "w 1", on_progress=said.append)
    assert said == ["sending the agent (0 kB)", "installing runpod"] or said[1:] == [
        "installing runpod"
    ]


def test_start_shows_nothing_that_steers_a_terminal(box, monkeypatch):
    """The host is a stranger: its agent's words reach the page without their escapes."""
    told = {"error": {"type": "NoSpace", "message": "full\x1b[2J\u202e"}}
    progress = {"progress": "going\x1b]0;x\x07 on"}
    carry(monkeypatch, f"print({json.dumps(progress)!r}); print({json.dumps(told)!r})")
    said = []
    with pytest.raises(errors.NoSpace, match=r"^full\[2J$"):
        bootstrap.start(box, "w 1", on_progress=said.append)
    assert said[1:] == ["going]0;x on"]


def test_start_leaves_the_agent_whole_and_nothing_beside_it(box, tmp_path):
    bootstrap.start(box, "w 1")
    [path] = (tmp_path / "home/.cache/rpnb").iterdir()
    assert path.name == "agent-0123456789ab.pyz"
    assert path.read_bytes() == agent.pack()[0]


def test_start_makes_a_root_that_only_its_owner_reads(box, tmp_path):
    bootstrap.start(box, "w 1")
    assert stat.S_IMODE((tmp_path / "home/.cache/rpnb").stat().st_mode) == 0o700


def test_start_uses_rpnb_home_where_it_is_set(box, tmp_path, monkeypatch):
    monkeypatch.setenv("RPNB_HOME", str(tmp_path / "it's here"))
    assert bootstrap.start(box, "w 1").root == str(tmp_path / "it's here")


def test_start_among_a_logins_own_output_is_understood(box, tmp_path, monkeypatch):
    """A .bashrc that prints, braces and all, is no answer."""
    run = Counting.run
    monkeypatch.setattr(
        Counting, "run", lambda self, command, *rest: run(self, "echo '{hello'; " + command, *rest)
    )
    assert bootstrap.start(box, "w 1").sdk == "1.12.0"


def test_bridge_command_quotes_what_a_shell_would_split(box):
    ready = bootstrap.start(box, "w 1")
    assert ready.bridge_command.endswith(f"bridge '{ready.socket}'")


def test_start_with_a_python_uses_that_one(box, tmp_path):
    other = tmp_path / "my python"
    other.symlink_to(sys.executable)
    assert bootstrap.start(box, "w 1", python=str(other)).python == str(other)


def test_start_with_a_python_in_the_targets_home_finds_it(box, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home/python").symlink_to(sys.executable)
    ready = bootstrap.start(box, "w 1", python="~/python")
    assert ready.python == f"{tmp_path}/home/python"


def test_start_prefers_the_first_python_that_has_torch(box, tmp_path):
    put_python(tmp_path, "python-other", f"1 1 3.11.7 {sys.executable}")
    assert bootstrap.start(box, "w 1").python == sys.executable


def test_start_without_torch_takes_the_first_new_enough(box, tmp_path):
    put_python(tmp_path, "python3", "0 1 3.8.10 /usr/bin/python3")
    put_python(tmp_path, "python-other", f"1 0 3.11.7 {sys.executable}")
    assert bootstrap.start(box, "w 1").python == sys.executable


def test_start_asks_a_virtual_environment_first(box, tmp_path, monkeypatch):
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").symlink_to(sys.executable)
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "venv"))
    assert bootstrap.start(box, "w 1").python == f"{tmp_path}/venv/bin/python"


def test_start_on_the_local_target_takes_this_python(box):
    here = Counting(parse("local"))
    assert bootstrap.start(here, "w 1").python == sys.executable


def test_start_with_too_old_a_python_names_its_version(box, tmp_path):
    put_python(tmp_path, "python3", "0 0 3.8.10 /usr/bin/python3")
    with pytest.raises(errors.NoPython, match=r"box has no .* found 3\.8\.10 \(/usr/bin/python3\)"):
        bootstrap.start(box, "w 1")


@pytest.mark.parametrize(
    "python", sorted(Path("/root/.pyenv/versions").glob("[23].[678]*/bin/python"))
)
def test_start_with_a_real_old_python_names_its_version(box, python):
    with pytest.raises(errors.NoPython, match=python.parts[4]):
        bootstrap.start(box, "w 1", python=str(python))


def test_start_without_any_python_says_so(box, tmp_path):
    (tmp_path / "bin/python3").unlink()
    with pytest.raises(errors.NoPython, match="found none"):
        bootstrap.start(box, "w 1", python=str(tmp_path / "bin/python3"))


def test_start_without_a_writable_directory_names_those_tried(box, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RPNB_HOME", str(tmp_path / "file/rpnb"))
    with pytest.raises(errors.NoSpace, match="tried .*file/rpnb"):
        bootstrap.start(box, "w 1")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_start_on_a_full_disk_says_where(box, tmp_path, monkeypatch):
    put = tmp_path / "bin" / "cat"
    put.write_text("#!/bin/sh\nexec /bin/cat > /dev/full\n")
    put.chmod(0o755)
    with pytest.raises(errors.NoSpace, match=r"no room for rpnb's agent in .*\.cache/rpnb"):
        bootstrap.start(box, "w 1")
    assert list((tmp_path / "home/.cache/rpnb").iterdir()) == []


@pytest.mark.parametrize("name", ["CannotPrepare", "NoSpace", "AgentError"])
def test_start_raises_the_agents_error_as_its_own_class(box, monkeypatch, name):
    said = json.dumps({"error": {"type": name, "message": "pip is missing"}})
    carry(monkeypatch, f"print({said!r}); raise SystemExit(1)")
    with pytest.raises(getattr(errors, name), match="^pip is missing$"):
        bootstrap.start(box, "w 1")


@pytest.mark.parametrize("name", ["os", "Any", "Exception", None])
def test_start_raises_an_unknown_error_as_cannot_prepare(box, monkeypatch, name):
    said = json.dumps({"error": {"type": name, "message": "strange"}})
    carry(monkeypatch, f"print({said!r})")
    with pytest.raises(errors.CannotPrepare, match="^strange$"):
        bootstrap.start(box, "w 1")


def test_start_with_an_agent_that_crashes_shows_its_last_lines(box, monkeypatch):
    carry(monkeypatch, "raise OSError('no pty')")
    with pytest.raises(errors.CannotPrepare, match="status 1: .*OSError: no pty"):
        bootstrap.start(box, "w 1")


def test_start_with_an_agent_that_says_nothing_says_so(box, monkeypatch):
    carry(monkeypatch, "")
    with pytest.raises(errors.CannotPrepare, match="gave no answer"):
        bootstrap.start(box, "w 1")


def test_start_on_a_login_without_a_shell_says_what_it_said(box, monkeypatch):
    run = Counting.run
    refuse = "echo This account is not available. >&2; exit 1"
    monkeypatch.setattr(Counting, "run", lambda self, _command, *rest: run(self, refuse, *rest))
    with pytest.raises(errors.CannotPrepare, match="This account is not available"):
        bootstrap.start(box, "w 1")


def test_census_is_what_the_agent_lists(box):
    assert bootstrap.census(box)["workers"] == [{"worker": "w 1", "argv": ["ps"]}]


def test_stop_names_the_worker(box, monkeypatch, tmp_path):
    carry(
        monkeypatch, f"import sys; open({str(tmp_path / 'argv')!r}, 'w').write(repr(sys.argv[1:]))"
    )
    bootstrap.stop(box, "w 1")
    assert (tmp_path / "argv").read_text() == "['stop', '--worker', 'w 1']"


def test_start_gives_the_agent_the_callers_umask(box, tmp_path, monkeypatch):
    """Files of user code must get the modes that they get in production."""
    carry(
        monkeypatch,
        f"import os; open({str(tmp_path / 'made')!r}, 'w'); print('{{\"workers\": []}}')",
    )
    bootstrap.census(box)
    mask = os.umask(0o022)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o666 & ~mask
