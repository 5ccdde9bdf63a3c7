"""A network that goes down and comes up again: `ip link set down`, packets vanish, nothing is lost.

The server lives in a network namespace of its own, at the other end of a cable.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading

import pytest

import rpnb
from rpnb.session.updates import LinkChanged
from tests import sshd as servers
from tests.behaviour.cells import program, run
from tests.conftest import _end_processes, _over_ssh
from tests.faults.breaking import WORKER, Lateness, Processes, hang_up, heard_by
from tests.faults.conftest import IS_LONG
from tests.faults.handlers import ONE
from tests.faults.killing import check, check_journal
from tests.faults.scene import Scene

pytestmark = [pytest.mark.ssh, pytest.mark.slow]  # each outage takes seconds to notice
# In seconds; TCP_USER_TIMEOUT, after which the system itself gives a connection up, is 10.
OUTAGES = (3.0, 14.0) if IS_LONG else (3.0,)
STAGES = ("idle", "upload", "run", "stream", "result") if IS_LONG else ("upload", "run")


class Network:
    """A cable between this machine, "here", and a namespace, "there"."""

    def __init__(self):
        number = os.getpid() % (1 << 14)
        self._space = f"rpnb{number}"
        self._ends = {"here": f"rpnbh{number}", "there": f"rpnbt{number}"}
        net = f"10.213.{number >> 6}.{number % 64 * 4}".rpartition(".")
        addresses = [f"{net[0]}.{int(net[2]) + last}" for last in (1, 2)]
        self.address = addresses[1]
        here, there = self._ends.values()
        self.inside = ("ip", "netns", "exec", self._space)
        _ip(f"netns add {self._space}")
        _ip(f"link add {here} type veth peer name {there} netns {self._space}")
        _ip(f"address add {addresses[0]}/30 dev {here}")
        _ip(f"-n {self._space} address add {addresses[1]}/30 dev {there}")
        for end in self._ends:
            self.set(end, "up")

    def set(self, end, state):
        """Take an end of the cable "down", or "up" again."""
        space = f"-n {self._space} " if end == "there" else ""
        _ip(f"{space}link set {self._ends[end]} {state}")

    def close(self):
        subprocess.run(["ip", "link", "del", self._ends["here"]], capture_output=True)
        subprocess.run(["ip", "netns", "del", self._space], capture_output=True)


def _ip(words):
    done = subprocess.run(["ip", *words.split()], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {words}: {done.stderr.strip()}")


@pytest.fixture
def network():
    try:
        network = Network()
    except OSError as error:
        pytest.skip(f"no network of a test's own here (root, CAP_NET_ADMIN): {error}")
    yield network
    network.close()


@pytest.fixture
def home(tmp_path):
    yield tmp_path / "rpnb"
    _end_processes(tmp_path / "rpnb")


@pytest.fixture
def session(network, tmp_path, home):
    if not servers.is_available():
        pytest.skip(servers.HOW_TO_ENABLE)
    server = servers.Sshd(tmp_path / "sshd", address=network.address, inside=network.inside)
    session = rpnb.connect(_over_ssh(server, home), name=WORKER, python=sys.executable)
    yield session
    session.stop()
    server.stop()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("end", ["here", "there"])
def test_network_that_goes_down_and_up_again_loses_nothing(session, network, home, end, tell):
    directory, heard, noticed = Processes(home).directory, heard_by(session), []
    for number, (seconds, stage) in enumerate(itertools.product(OUTAGES, STAGES)):
        scene = Scene(stage, directory, f"n{number}")
        comes_up = threading.Timer(seconds, network.set, [end, "up"])

        def goes_down(_request, comes_up=comes_up):
            network.set(end, "down")
            comes_up.start()

        with Lateness() as late:
            request, seen = scene.play(session, goes_down)
        comes_up.join()
        check(scene, seen, victims=())
        check_journal(scene, request, heard)
        changes = seen.of(LinkChanged)
        assert changes[-1].state == "back", stage
        # Promised are 2 (test_pulse.py counts them); a machine that is busy may be late.
        assert changes[0].seconds < 4.0 + late.seconds, stage
        noticed.append(changes[0].seconds)
        # A stream that came back by itself is given more time: the next stage has another.
        hang_up(session)
        assert run(session, program(handler=ONE)).result.ok
    tell(f"link down {end}: noticed after {min(noticed):.1f} to {max(noticed):.1f} s")
