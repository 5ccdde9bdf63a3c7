"""A slow link is no dead one: 0.3 s each way and 50 kB/s, and nobody is alarmed.

In `make test` it is 150 kB/s: at 50 the agent alone takes 3 s to get there.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys

import pytest

import rpnb
from rpnb.program.names import Names
from rpnb.session.updates import LinkChanged
from tests.behaviour.cells import Seen, job, program
from tests.faults.breaking import WORKER
from tests.faults.conftest import IS_LONG
from tests.faults.cutting import Proxy, Slowness, random_cut, through

pytestmark = [
    pytest.mark.ssh,
    pytest.mark.parametrize("target", ["ssh"], indirect=True),
    pytest.mark.slow,  # round trips of 0.6 s
]
LATENCY, RATE = 0.3, 50_000 if IS_LONG else 150_000
HANDLER = """
import hashlib, random

def handler(job):
    print("begun")
    yield hashlib.sha256(value).hexdigest()
    yield random.Random(1).randbytes(job["input"] // 2).hex()
    print("done")
"""


@pytest.fixture
def proxy(sshd):
    proxy = Proxy(sshd.port, slowness=Slowness(LATENCY, RATE))
    yield proxy
    proxy.arm(None)
    proxy.close()


@pytest.fixture
def session(target, sshd, proxy):
    session = rpnb.connect(through(proxy, sshd, target.text), name=WORKER, python=sys.executable)
    yield session
    session.stop()


def work(session, there, back):
    """Send a value of `there` bytes, get a chunk of `back`; return what was seen."""
    value = os.urandom(there)
    made = program(handler=HANDLER, names=Names({"value": value}, send=["value"]))
    seen = Seen(session.submit(made, job=job(back)))
    chunk = random.Random(1).randbytes(back // 2).hex()
    assert seen.result.stream == [hashlib.sha256(value).hexdigest(), chunk]
    assert seen.result.logs == "begun\ndone\n"
    return seen


# Beyond 1 MB a value has a transport of its own, whose bytes are in the pings' way.
@pytest.mark.parametrize(
    ("there", "back"),
    [(150_000, 150_000), pytest.param(1_500_000, 1_500_000, marks=pytest.mark.long)],
)
@pytest.mark.timeout(180)
def test_slow_link_is_not_taken_for_dead(session, proxy, there, back):
    before = dict(proxy.passed_bytes)
    seen = work(session, there, back)
    assert not seen.of(LinkChanged)
    passed = {way: size - before[way] for way, size in proxy.passed_bytes.items()}
    assert passed["there"] > there and passed["back"] > back
    # Now nothing comes but the answers to pings, each 0.6 s after it was asked.
    rest = "import time\n\ndef handler(job):\n    time.sleep(4)\n    return 'rested'"
    seen = Seen(session.submit(program(handler=rest), job=job()))
    assert seen.result.output == "rested"
    assert not seen.of(LinkChanged)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_slow_link_that_is_cut_loses_nothing(session, proxy):
    chance = random.Random(1)
    for _ in range(8):
        cut = random_cut(chance)
        proxy.arm(cut)
        seen = work(session, 50_000, 50_000)
        assert cut.is_done.is_set() == bool(seen.of(LinkChanged)), cut
