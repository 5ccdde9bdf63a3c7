"""Clients that are killed, interrupted, or two at a time."""

from __future__ import annotations

import _thread
import gc
import sys
import threading

import pytest

import rpnb
from rpnb.errors import RpnbError
from rpnb.session.updates import Finished
from tests.behaviour.cells import Seen, job, program, run
from tests.faults.breaking import WORKER
from tests.faults.handlers import CHUNKS, COUNTED

# On this machine and over SSH, in its login and later.
DELAYS = [("local", delay) for delay in (0.0, 0.1, 0.4)]
DELAYS += [pytest.param("local", delay, marks=pytest.mark.long) for delay in (0.02, 0.2)]
DELAYS += [pytest.param("ssh", delay, marks=pytest.mark.ssh) for delay in (0.1, 0.4)]


def test_two_clients_that_start_one_worker_at_once_share_it(target):
    found, errors = [], []

    def start():
        try:
            found.append(rpnb.connect(target.text, name="race", python=sys.executable))
        except RpnbError as error:
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert not errors
        assert len({each.info["pid"] for each in found}) == 1
    finally:
        for each in found:
            each.close()


def test_two_notebooks_on_one_machine_share_no_name(session, target):
    run(session, program("mine = 1"))
    with rpnb.connect(target.text, name="other", python=sys.executable) as other:
        seen = run(other, None, scratch={"text": "'mine' in globals()", "label": "x"})
        assert seen.shown[-1]["text/plain"] == b"False"
        other.stop()


# An interrupt may come between the opening of a file and the statement that would close it.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("target", "delay"), DELAYS, indirect=["target"])
def test_interrupted_connect_leaves_nothing_in_the_way(target, delay):
    timer = threading.Timer(delay, _thread.interrupt_main)
    session = None
    try:
        timer.start()
        session = rpnb.connect(target.text, name=WORKER, python=sys.executable)
        # A timer that is late presses here, and not in the lines below.
        timer.join()
    except KeyboardInterrupt:
        pass
    gc.collect()  # what it left open is this test's, not the next one's
    again = rpnb.connect(target.text, name=WORKER, python=sys.executable)
    assert run(again, program(handler="def handler(job):\n    return 1")).result.ok
    again.stop()
    if session is not None:
        session.close()


def test_interrupt_at_any_moment_of_a_run_ends_it_and_loses_no_result(session, processes):
    made = program(handler=COUNTED)
    run(session, made)
    for delay in (0.0, 0.002, 0.01, 0.05):
        timer, pressed = threading.Timer(delay, _thread.interrupt_main), False
        seen = Seen()
        try:
            running = session.submit(made, job=job({"pause": 0.002}))
            timer.start()
            seen.extend(running.watched())
            # A timer that is late presses here, and not in the lines below.
            timer.join()
        except KeyboardInterrupt:
            pressed = True
        timer.join()
        statuses = [each.result.status for each in seen.of(Finished)]
        # Pressed early it is cancelled before it begins.
        assert statuses in ([[], ["CANCELLED"], ["COMPLETED"]] if pressed else [["COMPLETED"]])
        assert run(session, made).result.stream == CHUNKS
