"""Handlers that do not let go: each ends at the end of its grace time, and the next run works."""

from __future__ import annotations

import time

import pytest

from rpnb.agent.requests import GRACE
from rpnb.session.updates import Exited, JobStarted, Logged
from tests.behaviour.cells import Seen, job, program, run

SET_UP = "import os\nborn = os.getpid()"
HANDLER = """
import hashlib, re, sys, time

def handler(job):
    if not job["input"]:
        return born == os.getpid()
    {body}
"""
# None can be told to stop between its word and where it holds on: there is nothing between.
STUBBORN = {
    "a bare except": (
        "for text in ('begun\\n', *[''] * 99):\n        try:\n"
        "            sys.stdout.write(text); time.sleep(60)\n        except:\n            pass"
    ),
    # An hour in OpenSSL, which knows no signals; the worker's other threads run.
    "C without the interpreter's lock": (
        'print("begun"); hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)'
    ),
    # For ever, and no other thread of the worker runs: nobody hears of the cancel.
    "C with the interpreter's lock": 'print("begun"); re.match("(a+)+$", "a" * 60 + "b")',
}

pytestmark = [
    pytest.mark.slow,  # the grace time, each
    pytest.mark.parametrize("target", ["local"], indirect=True),
]


@pytest.mark.parametrize("stubborn", STUBBORN)
def test_cancelled_job_that_does_not_let_go_ends_and_the_next_run_works(session, stubborn):
    made = program(SET_UP, handler=HANDLER.format(body=STUBBORN[stubborn]))
    running, seen, asked = session.submit(made, job=job("for ever")), Seen(), None
    for update in running:
        seen.append(update)
        if asked is None and isinstance(update, Logged):
            asked = time.monotonic()
            running.cancel()
    # It lets go of nothing for an hour or more: without the kill there would be no end.
    assert time.monotonic() - asked > GRACE - 0.1
    check_killed(seen, "cancelled")
    assert run(session, made).result.output is True


def test_job_that_does_not_let_go_ends_after_its_time_and_the_next_run_works(session):
    made = program(SET_UP, handler=HANDLER.format(body=STUBBORN["C with the interpreter's lock"]))
    limited = job("for ever", policy={"executionTimeout": 1500})
    check_killed(
        run(session, made, job=limited), "timed out after 1.5 s, its policy.executionTimeout"
    )
    assert run(session, made).result.output is True


def check_killed(seen, why):
    """The worker was killed in the job, and why is said of each: job, request and worker."""
    assert len(seen.of(JobStarted)) == 1
    assert (seen.result.status, seen.result.problem) == ("CANCELLED", why)
    assert seen.result.logs == "begun\n"
    assert (seen.failed.phase, seen.failed.exception.message) == ("cancelled", why)
    assert [(each.signal, each.reason) for each in seen.of(Exited)] == [(9, why)]
