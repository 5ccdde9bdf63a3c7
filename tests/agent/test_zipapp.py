"""The agent as it travels: the zip alone, in an isolated interpreter of each minor."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from rpnb.protocol import connection, messages
from rpnb.session import agent

OLDEST = (3, 9)


def minor(path):
    return tuple(map(int, path.parts[4].split(".")[:2]))


PYTHONS = [
    path
    for path in sorted(Path("/root/.pyenv/versions").glob("3.*/bin/python"))
    if minor(path) >= OLDEST
] or [Path(sys.executable)]
each_minor = pytest.mark.parametrize("python", PYTHONS, ids=lambda path: path.parts[-3])


@pytest.fixture
def agent_in(tmp_path):
    """Runs a verb of the zip under a Python that sees no site-packages of a person's own."""
    path = tmp_path / "agent.pyz"
    path.write_bytes(agent.pack()[0])
    home = tmp_path / "home"
    env = {"PATH": os.defpath, "HOME": str(tmp_path), "RPNB_HOME": str(home), "RPNB_IDLE": "20"}

    def run(python, *verb):
        done = subprocess.run(
            [python, "-I", path, *verb], env=env, capture_output=True, text=True, timeout=90
        )
        assert done.stderr == ""
        return [json.loads(line) for line in done.stdout.splitlines()]

    return run


@pytest.fixture
def with_packages(tmp_path):
    """Makes a Python appear to have runpod and cloudpickle: nothing is to be installed."""

    def make(python):
        env = tmp_path / "env"
        subprocess.run([python, "-m", "venv", "--without-pip", env], check=True)
        [site] = env.glob("lib/python3*/site-packages")
        for name, version in (("runpod", "1.9.1"), ("cloudpickle", "3.0.0")):
            (site / f"{name}.py").write_text("")
            (site / f"{name}-{version}.dist-info").mkdir()
        return env / "bin/python"

    return make


def converse(path, message, until):
    """Say hello and one message to the agent's socket; return all that comes up to `until`."""
    heard, link = [], connection.Connection(connection.CLIENT)
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(30)
        channel.connect(path)
        channel.sendall(messages.encode(messages.Hello("test", seq=0)))
        channel.sendall(messages.encode(message))
        while not any(isinstance(said, until) for said in heard):
            data = channel.recv(1 << 16)
            assert data, f"the agent hung up after {heard}"
            heard.extend(link.receive_data(data))
    return heard


@each_minor
def test_ps_in_each_minor_lists_no_worker(agent_in, python):
    assert agent_in(python, "ps") == [{"workers": [], "gpus": []}]


@each_minor
def test_start_in_each_minor_answers_pings(agent_in, with_packages, python):
    python = with_packages(python)
    ready = agent_in(python, "start", "--worker", "w")[-1]["ready"]
    try:
        said = converse(ready["socket"], messages.Ping(7), messages.Pong)
        assert said[-1].number == 7
        assert ready["sdk"] == "1.9.1"
    finally:
        agent_in(python, "stop", "--worker", "w")


@pytest.mark.parametrize("python", PYTHONS[-1:], ids=lambda path: path.parts[-3])
def test_start_twice_finds_the_first_agent(agent_in, with_packages, python):
    python = with_packages(python)
    first = agent_in(python, "start", "--worker", "w")[-1]
    try:
        assert agent_in(python, "start", "--worker", "w")[-1] == first
    finally:
        agent_in(python, "stop", "--worker", "w")


@pytest.mark.parametrize("python", PYTHONS[-1:], ids=lambda path: path.parts[-3])
def test_stop_leaves_no_worker_alive(agent_in, with_packages, python):
    python = with_packages(python)
    agent_in(python, "start", "--worker", "w")
    agent_in(python, "stop", "--worker", "w")
    [listed] = agent_in(python, "ps")
    assert not any(row["alive"] or row["relay"] for row in listed["workers"])
