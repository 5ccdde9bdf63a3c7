"""Links cut at random bytes, both ways: nothing is lost, repeated or reordered, and jobs run once.

`make faults` makes 220 others each time; RPNB_CUTS and RPNB_SEED say how many and which.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import time

import pytest

import rpnb
from rpnb.agent.journal import Journal
from rpnb.protocol.messages import encode
from rpnb.session.updates import LinkChanged
from tests.behaviour.cells import Seen, job, program, run
from tests.behaviour.faults import Processes, until
from tests.faults.cutting import Cut, Proxy, random_cut

# A unix socket has no bytes on the way: tests/behaviour cuts its streams.
pytestmark = [pytest.mark.ssh, pytest.mark.parametrize("target", ["ssh"], indirect=True)]

CUTS = int(os.environ.get("RPNB_CUTS", "6"))
SEED = int(os.environ.get("RPNB_SEED", "1"))
HANDLER = """
import hashlib, time

def handler(job):
    with open("calls", "a") as file:
        file.write(job["id"] + "\\n")
    for number in range(20):
        print("line", number)
        yield {"number": number, "text": "é" * 400}
        time.sleep(job["input"]["pause"])
    yield hashlib.sha256(value).hexdigest()
"""
WAITS = """
import os, time

def handler(job):
    with open("calls", "a") as file:
        file.write(job["id"] + "\\n")
    while not os.path.exists("go"):
        time.sleep(0.005)
    return "done"
"""
LINES = "".join(f"line {number}\n" for number in range(20))


@pytest.fixture
def proxy(sshd):
    proxy = Proxy(sshd.port)
    yield proxy
    proxy.arm(None)
    proxy.close()


@pytest.fixture
def place(sshd, proxy, target):
    """A target behind the proxy, and what runs there."""
    text = target.text.replace(f"-p {sshd.port} ", f"-p {proxy.port} ")
    alias = f"-o HostKeyAlias={sshd.name} -o ConnectTimeout=4 "
    return text.replace("-o IdentityAgent", f"{alias}-o IdentityAgent"), Processes(target.home)


@pytest.fixture
def session(place, proxy):
    session = rpnb.connect(place[0], name="behaviour", python=sys.executable)
    yield session
    proxy.arm(None)
    session.stop()


def heard_by(session):
    """Return the list that every event is added to once the session has taken it."""
    heard, dialogue = [], session._link._dialogue
    plain = dialogue._hear_event

    def hear(event, size):
        heard.append(event)
        plain(event, size)

    dialogue._hear_event = hear
    return heard


def digest(events):
    return hashlib.sha256(b"".join(map(encode, events))).hexdigest()


def values(chance):
    from rpnb.program.names import Names

    value = chance.randbytes(chance.choice((10, 300_000, 1_500_000)))
    return value, Names({"value": value}, send=["value"])


@pytest.mark.slow  # each silent cut takes 2 s to notice
@pytest.mark.timeout(60 + 20 * CUTS)
def test_cuts_at_random_bytes_lose_and_repeat_nothing(session, place, proxy, capsys):
    with capsys.disabled():
        print(f"\n{CUTS} cuts, RPNB_SEED={SEED}")
    chance, heard, jobs, done = random.Random(SEED), heard_by(session), [], 0
    start = session._link._dialogue._cursor.seq
    for _ in range(20 * CUTS):
        if done == CUTS:
            break
        cut, made = random_cut(chance), job({"pause": chance.choice((0, 0, 0.01))})
        value, names = values(chance)
        jobs.append(made["id"])
        proxy.arm(cut)
        seen = Seen(session.submit(program(handler=HANDLER, names=names), job=made))
        done += cut.is_done.is_set()
        assert seen.result.stream[:20] == [
            {"number": number, "text": "é" * 400} for number in range(20)
        ], cut
        assert seen.result.stream[20] == hashlib.sha256(value).hexdigest(), cut
        assert seen.result.logs == LINES, cut
    assert done == CUTS
    directory = place[1].directory
    assert (directory.app / "calls").read_text().split() == jobs, "each once, in order"
    journal = [e for e in Journal(directory.journal).read() if start < e.seq <= heard[-1].seq]
    assert [e.seq for e in heard] == [e.seq for e in journal]
    assert digest(heard) == digest(journal)


def test_silent_death_is_noticed_within_two_seconds_and_the_job_goes_on(session, place, proxy):
    made = job()
    running, seen, went = session.submit(program(handler=WAITS), job=made), Seen(), 0.0
    calls = place[1].directory.app / "calls"
    until(calls.exists, "the handler")
    proxy.arm(Cut("silence", "back", 1))
    for update in running:
        seen.append(update)
        if isinstance(update, LinkChanged) and update.state == "suspect":
            went = update.seconds
            (place[1].directory.app / "go").touch()
    assert 1.0 < went < 2.5
    assert [each.state for each in seen.of(LinkChanged)] == ["suspect", "back"]
    assert seen.result.output == "done"
    assert calls.read_text().split() == [made["id"]]


@pytest.mark.slow  # it waits for the limits of a login
@pytest.mark.parametrize("at", [1, 1200, 3000])
def test_redial_that_freezes_has_a_limit(session, place, proxy, at):
    """In the banner, the key exchange, the login, or after it."""
    running = session.submit(program(handler=WAITS), job=job())
    until((place[1].directory.app / "calls").exists, "the handler")
    frozen = Cut("silence", "back", at)
    proxy.arm(Cut("reset", "back", 1))
    until(lambda: proxy._cut is None, "the cut")
    proxy.arm(frozen)
    assert frozen.is_done.wait(20)
    (place[1].directory.app / "go").touch()
    began = time.monotonic()
    assert Seen(running).result.output == "done"
    assert time.monotonic() - began < 30


def test_link_that_dies_while_idle_is_mended_at_the_next_run(session, proxy):
    made = program(handler="def handler(job):\n    return 1")
    run(session, made)
    proxy.arm(Cut("silence", "there", 1))
    seen = run(session, made)
    assert seen.result.output == 1
    assert [each.state for each in seen.of(LinkChanged)] == ["suspect", "back"]
