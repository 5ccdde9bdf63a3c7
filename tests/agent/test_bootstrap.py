"""Starting: quick, once, detached, and with words for what goes wrong."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import time
from pathlib import Path

import pytest

from rpnb.agent import bootstrap
from rpnb.agent.directory import RunDirectory, hold
from rpnb.errors import CannotPrepare
from tests.agent.agents import Agent, Peer

PYTHON_39 = Path("/root/.pyenv/versions/3.9.18/bin/python")


def test_start_is_ready_with_its_place(agent):
    ready = agent.start()
    assert ready["worker"] == "w" and ready["root"] == str(agent.home)
    assert stat.S_ISSOCK(Path(ready["socket"]).stat().st_mode)


def test_start_again_finds_the_same_agent(agent):
    first = agent.start()
    pid = agent.relay_pid()
    assert agent.start() == first and agent.relay_pid() == pid


def test_start_again_is_quick(agent):
    agent.start()
    times = []
    for _ in range(3):
        began = time.perf_counter()
        agent.start()
        times.append(time.perf_counter() - began)
    # 0.05 s on an idle machine, most of it Python's own start; a busy one may be late once.
    assert min(times) < 1.0


def test_start_lets_go_of_its_pipes(agent):
    # `run` reads to the end of stdout and stderr: a relay that held them would block it.
    # It lives for two hours: no return in time would be one of the relay's end.
    agent.start()
    assert agent.directory.is_relay_alive()


def test_relay_has_left_the_session_and_the_pipes(agent):
    agent.start()
    pid = agent.relay_pid()
    assert os.getsid(pid) != os.getsid(0)
    names = {str(Path(f"/proc/{pid}/fd/{number}").readlink()) for number in (0, 1, 2)}
    assert names == {"/dev/null", str(agent.directory.relay_log)}


def test_relay_outlives_a_hangup(agent):
    agent.start()
    peer = Peer(agent)
    os.kill(agent.relay_pid(), signal.SIGHUP)
    assert peer.run("r", "1").kind == "done"


def test_start_after_a_kill_finds_the_old_worker(agent):
    agent.start()
    peer = Peer(agent)
    peer.wait_ready()
    pid = agent.worker_pid()
    agent.kill_relay()
    agent.start()
    again = Peer(agent)
    again.run("r", "1")
    assert agent.worker_pid() == pid


def test_worker_of_another_version_is_left_alone_and_said(agent):
    agent.start()
    Peer(agent).wait_ready()
    agent.directory.version.write_text("0")
    pid = agent.worker_pid()
    error = json.loads(agent.run("start", "--worker", "w").stdout)["error"]
    assert error["type"] == "AgentError" and "`rpnb stop w` ends it" in error["message"]
    os.kill(pid, 0)
    assert agent.run("stop", "--worker", "w").returncode == 0
    assert not agent.directory.is_alive()


def test_what_another_version_left_is_put_aside_and_kept(agent):
    agent.start()
    Peer(agent).run("r", "1")
    agent.run("stop", "--worker", "w")
    agent.directory.version.write_text("0")
    done = agent.run("start", "--worker", "w")
    kept = [path for path in agent.directory.path.parent.iterdir() if path.name != "w"]
    assert str(kept[0]) in done.stdout and (kept[0] / "journal").exists()
    assert Peer(agent).welcome.seq <= 1


def test_agent_that_another_machine_with_the_same_volume_has_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "_START_TIMEOUT", 0.1)
    monkeypatch.setattr(bootstrap, "detach", lambda *_: None)
    directory = RunDirectory(tmp_path / "run" / "w")
    directory.create()
    # Held, as its lock would show, by whom no socket of this machine's leads to.
    lock = hold(directory.relay_lock)
    with pytest.raises(CannotPrepare, match="another machine with the same volume.*RPNB_HOME"):
        bootstrap._start_relay(directory, tmp_path / "agent.pyz", print)
    os.close(lock)


def test_start_with_a_long_home_works(tmp_path):
    agent = Agent(tmp_path / ("x" * 80))
    try:
        ready = agent.start()
        assert len(ready["socket"]) < 100
        assert Peer(agent).welcome.worker == "w"
    finally:
        agent.end()


def test_start_on_gpus_hides_the_others(agent):
    agent.start("--gpu", "1,2")
    peer = Peer(agent)
    peer.run("r", "import os; print(os.environ['CUDA_VISIBLE_DEVICES'])")
    assert peer.log["out"] == b"1,2\n"


def test_start_with_other_options_says_when_they_hold(agent):
    agent.start()
    Peer(agent).wait_ready()
    done = agent.run("start", "--worker", "w", "--gpu", "1")
    assert "until it is restarted" in done.stdout
    assert agent.directory.read_settings().env["CUDA_VISIBLE_DEVICES"] == "1"


def test_pods_own_variables_do_not_reach_the_worker(agent):
    agent.env["RUNPOD_API_KEY"] = "secret"
    agent.start()
    peer = Peer(agent)
    peer.run("r", "import os; print(os.environ.get('RUNPOD_API_KEY'))")
    assert peer.log["out"] == b"None\n"


def test_start_without_a_writable_home_is_an_error_line(agent, tmp_path):
    (tmp_path / "file").touch()
    agent.env["RPNB_HOME"] = str(tmp_path / "file" / "home")
    done = agent.run("start", "--worker", "w")
    assert done.returncode == 1 and not done.stderr
    assert json.loads(done.stdout)["error"]["type"] == "NoSpace"


def test_start_with_a_python_that_is_not_there_is_an_error_line(agent):
    done = agent.run("start", "--worker", "w", "--python", "/nowhere/python")
    assert json.loads(done.stdout.splitlines()[-1])["error"]["type"] == "NoPython"


@pytest.mark.skipif(not PYTHON_39.exists(), reason="no Python 3.9 here")
def test_relay_and_keeper_run_on_the_oldest_python(agent):
    # The worker's own Python is another: that one has the SDK.
    verb = ["start", "--worker", "w", "--python", sys.executable]
    done = agent.run(*verb, python=str(PYTHON_39))
    assert "ready" in done.stdout, done.stdout + done.stderr
    settings = agent.directory.read_settings()
    assert Path(f"/proc/{agent.relay_pid()}/exe").readlink() == PYTHON_39.resolve()
    peer = Peer(agent)
    peer.wait_ready()
    # And the next worker's keeper, too.
    agent.directory.write_settings(type(settings)(str(PYTHON_39)))
    peer.run("a", "import os; os._exit(1)")
    peer.run("b", "import sys; print(sys.version_info[:2])")
    assert peer.log["out"] == b"(3, 9)\n"


def test_scope_is_asked_for_where_logind_kills(tmp_path, monkeypatch):
    _pretend_login(tmp_path, monkeypatch, "yes")
    assert bootstrap.scope(print)[:3] == ["systemd-run", "--user", "--scope"]
    assert (tmp_path / "linger").exists()


def test_scope_is_left_out_where_logind_spares(tmp_path, monkeypatch):
    _pretend_login(tmp_path, monkeypatch, "no")
    assert bootstrap.scope(print) == []


def test_scope_is_left_out_where_there_is_no_login(tmp_path, monkeypatch):
    _pretend_login(tmp_path, monkeypatch, "yes", cgroup="0::/docker/abc\n")
    assert bootstrap.scope(print) == []


def test_login_that_cannot_be_outlived_is_said(tmp_path, monkeypatch):
    _pretend_login(tmp_path, monkeypatch, "yes", systemd_run="exit 1")
    said = []
    assert bootstrap.scope(said.append) == []
    assert "KillUserProcesses" in said[0]


def test_agent_starts_in_the_scope_that_outlives_the_login(tmp_path, monkeypatch):
    mark = f'touch {tmp_path}/used; while [ "${{1#-}}" != "$1" ]; do shift; done; exec "$@"'
    _pretend_login(tmp_path, monkeypatch, "yes", systemd_run=mark)
    started = []
    monkeypatch.setattr(bootstrap, "detach", lambda command, _log: started.append(command))
    monkeypatch.setattr(bootstrap, "listens", lambda _path: True)
    directory = RunDirectory(tmp_path / "run" / "w")
    bootstrap._start_relay(directory, tmp_path / "agent.pyz", print)
    assert started[0][:3] == ["systemd-run", "--user", "--scope"]
    assert started[0][-2:] == ["relay", str(directory.path)]


def _pretend_login(
    folder,
    monkeypatch,
    kills,
    cgroup="0::/user.slice/session-3.scope\n",
    systemd_run='while [ "$1" != echo ]; do shift; done; "$@"',
):
    loginctl = f'[ "$1" = enable-linger ] && touch {folder}/linger || echo {kills}'
    for name, text in (("loginctl", loginctl), ("systemd-run", systemd_run)):
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    (folder / "cgroup").write_text(cgroup)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(bootstrap, "CGROUP", folder / "cgroup")
