"""The verbs beside `start`: ps, stop, bridge; and the agent with the real worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

from rpnb.agent import census
from rpnb.agent.directory import RunDirectory, hold
from rpnb.errors import AgentError
from rpnb.protocol.connection import CLIENT, Connection
from rpnb.protocol.messages import Hello, Ping, Pong, Submit, encode
from tests.agent.agents import Agent, Peer, program, until


def ps(agent):
    return json.loads(agent.run("ps").stdout)["workers"]


def stop(agent, worker="w"):
    return json.loads(agent.run("stop", "--worker", worker).stdout)


def test_ps_without_workers_is_empty(agent):
    assert ps(agent) == []


def test_ps_tells_of_a_worker(agent, peer):
    (found,) = ps(agent)
    assert found["worker"] == "w" and found["alive"] and found["relay"]
    assert found["generation"] == 1 and found["bytes"] > 1_000_000
    assert abs(found["since"] - peer.events[0].at if peer.events else 0) < 60


def test_ps_tells_what_a_worker_is_at(agent, peer):
    waits = "import time\ndef handler(job):\n    time.sleep(60)"
    peer.send(Submit("r", program(waits), jobs=[{"id": "j", "input": 1}]))
    peer.event("job")
    # It answers within 2 s, unless the machine is busy.
    found = until(lambda: next((each for each in ps(agent) if each["jobs"]), None), "its jobs")
    assert [(job["request"], job["status"]) for job in found["jobs"]] == [("r", "IN_PROGRESS")]
    assert found["idle"] < 60


def test_ps_tells_of_the_gpus_and_what_a_worker_holds_of_them(agent, peer, tmp_path):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        f"""#!/bin/sh
case "$1" in
*gpu=*) echo "0, GPU-1, NVIDIA Stand-in, 700, 24000";;
*apps=*) echo "{agent.worker_pid()}, 600"; echo "1, 50";;
esac
"""
    )
    tool.chmod(0o755)
    agent.env["PATH"] = f"{tmp_path}:{agent.env['PATH']}"
    said = json.loads(agent.run("ps").stdout)
    assert said["gpus"][0]["used_bytes"] == 700 << 20
    assert said["workers"][0]["gpu_bytes"] == 600 << 20


def test_ps_does_not_wait_for_an_agent_that_is_stopped(agent, peer):
    os.kill(agent.relay_pid(), signal.SIGSTOP)
    (found,) = ps(agent)
    os.kill(agent.relay_pid(), signal.SIGCONT)
    assert found["alive"] and found["jobs"] == []


def test_ps_tells_of_a_worker_without_a_relay(agent, peer):
    agent.kill_relay()
    (found,) = ps(agent)
    assert found["alive"] and not found["relay"]


def test_stop_ends_worker_and_relay(agent, peer):
    assert stop(agent) == {"stopped": True}
    (found,) = ps(agent)
    assert not found["alive"] and not found["relay"]


def test_stop_ends_a_worker_without_a_relay(agent, peer):
    agent.kill_relay()
    assert stop(agent) == {"stopped": True}
    assert not agent.directory.is_worker_alive()


def test_stop_signals_nobody_who_only_has_the_number_of_a_relay(tmp_path, monkeypatch):
    """Two pods share a volume: the one that holds the lock is a process of the other's."""
    monkeypatch.setenv("RPNB_HOME", str(tmp_path))
    monkeypatch.setattr(census, "_STOP_TIMEOUT", 0.2)
    directory = RunDirectory(tmp_path / "run" / "w")
    directory.create()
    lock = hold(directory.relay_lock)
    with subprocess.Popen(["sleep", "60"]) as process:
        os.write(lock, str(process.pid).encode())
        with pytest.raises(AgentError, match="does not end"):
            census.stop("w")
        assert process.poll() is None
        process.kill()
    os.close(lock)


def test_stop_of_no_worker_does_nothing(agent):
    assert stop(agent, "never") == {"stopped": False}


def test_start_after_stop_begins_another_generation(agent, peer):
    stop(agent)
    agent.start()
    again = Peer(agent)
    assert again.run("r", "print('again')").kind == "done"
    assert again.welcome.generation == 2


def test_bridge_joins_a_client_to_the_agent(agent, peer):
    bridge = subprocess.Popen(
        agent.command("bridge", str(agent.directory.socket)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert bridge.stdin is not None and bridge.stdout is not None
    bridge.stdin.write(encode(Hello("far", "watch")) + encode(Ping(3)))
    bridge.stdin.flush()
    connection, said = Connection(CLIENT), []
    while not any(isinstance(message, Pong) for message in said):
        said += connection.receive_data(os.read(bridge.stdout.fileno(), 1 << 16))
    bridge.stdin.close()
    assert bridge.wait(90) == 0
    bridge.stdout.close()


def test_bridge_without_an_agent_says_so(agent, tmp_path):
    done = agent.run("bridge", str(tmp_path / "none"))
    # Standard output is the stream: what is no frame has no place on it.
    assert (done.returncode, done.stdout) == (1, "")
    assert "no agent listens" in done.stderr


def test_unknown_verb_is_refused(agent):
    assert agent.run("dance").returncode == 2


def test_real_worker_runs_a_job_through_all_of_it(tmp_path):
    agent = Agent(tmp_path / "home", stand_in=False)
    try:
        agent.start()
        peer = Peer(agent)
        text = (
            "import runpod\n\n\ndef handler(job):\n    print('in', job['id'])\n"
            "    return job['input']\n\n\nrunpod.serverless.start({'handler': handler})\n"
        )
        done = peer.run("r", text, jobs=[{"id": "j1", "input": {"a": 1}}])
        assert done.kind == "done", done
        finished = next(e for e in peer.events if e.kind == "finished")
        assert json.loads(finished.buffers[0])["output"] == {"a": 1}
        assert b"in j1\n" in peer.log["out"]
        assert agent.directory.read_program() == program(text)
        os.kill(agent.worker_pid(), signal.SIGKILL)
        peer.event("exited")
        assert peer.run("r2", None, jobs=[{"id": "j2", "input": 2}]).kind == "done"
        until(agent.directory.is_worker_alive, "the worker")
    finally:
        agent.end()
