"""Links that are cut or freeze, at chosen bytes; and what one costs that does neither."""

from __future__ import annotations

import time

import pytest

from rpnb.session import upload as uploads
from rpnb.session.updates import JobStarted, LinkChanged
from tests.behaviour.cells import Seen, job, program, run
from tests.faults.breaking import (
    Lateness,
    cpu_seconds,
    cut_after,
    hang_up,
    open_files,
    until,
)
from tests.faults.handlers import CHUNKS, COUNTED, LINES, WAITS, calls, let_go

LENGTH = "def handler(job):\n    return len(value)"


def begun(session, made, value=None):
    """Submit a job and return its run once it has begun, with what was seen so far."""
    running, seen = session.submit(made, job=job(value)), Seen()
    for update in running:
        seen.append(update)
        if isinstance(update, JobStarted):
            return running, seen
    raise AssertionError(f"the job did not begin: {seen}")


def changes(seen):
    """How the link was; that time has passed since is none, and a busy machine's affair."""
    return [each for each in seen.of(LinkChanged) if each.is_news]


def test_link_cut_at_any_byte_loses_and_repeats_nothing(session, processes):
    made = program(handler=COUNTED)
    for count, first in enumerate([1, 700], 1):
        cut_after(session, first, 2 * first + 411, 1999)
        seen = run(session, made, {"pause": 0.002})
        assert seen.result.stream == CHUNKS, first
        assert seen.result.logs == LINES, first
        assert calls(processes) == count, first


def test_request_cut_on_its_way_there_runs_once(session, processes):
    made = program(handler=COUNTED)
    for count, first in enumerate([3, 600], 1):
        cut_after(session, first, first + 77, direction="sent")
        assert run(session, made).result.stream == CHUNKS, first
        assert calls(processes) == count, first


def test_link_cut_while_a_job_runs_is_told_and_mended(session, processes):
    running, seen = begun(session, program(handler=WAITS))
    hang_up(session)
    let_go(processes)
    seen += running
    assert [u.state for u in changes(seen)] == ["lost", "back"]
    assert (seen.result.output, calls(processes)) == ("done", 1)


def test_link_that_freezes_is_suspected_and_replaced(session, processes, target, request):
    if target.kind != "ssh":
        pytest.skip("a unix socket does not freeze")
    running, seen = begun(session, program(handler=WAITS))
    with Lateness() as late:
        request.getfixturevalue("sshd").freeze()
        let_go(processes)
        seen += running
    assert [u.state for u in changes(seen)] == ["suspect", "back"]
    # Two seconds are promised (test_pulse.py counts them); a busy machine may be late.
    assert changes(seen)[0].seconds < 4.0 + late.seconds
    assert (seen.result.output, calls(processes)) == ("done", 1)


def test_large_value_is_resumed_after_a_cut_and_sent_once(session, processes, target, monkeypatch):
    value = bytes(range(256)) * (100 << 12)  # 100 MiB
    sent = []
    plain = uploads.Sending.send

    def send(sending, frame):
        plain(sending, frame)
        if len(frame) > 1 << 20:  # a block
            sent.append(len(frame))
            if len(sent) == 8:
                sending._stream.close()

    monkeypatch.setattr(uploads.Sending, "send", send)
    made = program(handler=LENGTH, names=_names(value=value))
    assert run(session, made).result.output == len(value)
    again = sum(sent) - len(value)
    assert again < 40 << 20, "what was on its way may be lost, what arrived is not sent again"
    sent.clear()
    assert run(session, made).result.output == len(value)
    assert not sent


def _names(**values):
    from rpnb.program.names import Names

    return Names(values, send=values)


def test_quiet_session_uses_no_processor(session, processes):
    run(session, program(handler="def handler(job):\n    return 1"))
    pids = [processes.pid(name) for name in ("relay", "keeper", "worker")]
    # What a run or an earlier test leaves to do may fall into the first two seconds.
    assert any(_is_quiet(pids) for _ in range(10))


def _is_quiet(pids):
    before, here = [cpu_seconds(pid) for pid in pids], time.process_time()
    time.sleep(2)
    used = [cpu_seconds(pid) - was for pid, was in zip(pids, before, strict=True)]
    # paramiko looks ten times a second whether it was closed.
    return max(used) < 0.005 and time.process_time() - here < 0.1


def test_links_that_were_cut_or_closed_leave_no_file_open(session):
    made = program(handler="def handler(job):\n    return 1")
    run(session, made)
    before = open_files()
    for _ in range(3):
        hang_up(session)
        run(session, made)
        session.close()
        session.open()
    until(lambda: open_files() <= before, "the old links' files to be closed")
