"""Nothing lost: links cut, processes killed, clients gone, floods, full disks."""

from __future__ import annotations

import _thread
import gc
import os
import subprocess
import sys
import threading
import time

import pytest

import rpnb
from rpnb.agent.journal import Journal
from rpnb.errors import RpnbError
from rpnb.session import upload as uploads
from rpnb.session.attach import attach
from rpnb.session.updates import Finished, JobStarted, LinkChanged, Logged, Planned
from tests.behaviour.cells import Seen, job, program, run
from tests.behaviour.faults import Processes, cpu_seconds, cut_after, hang_up, is_alive, until
from tests.conftest import TARGETS, place

# Says in a file how often it ran: at most once, whatever happens to the link.
COUNTED = """
import os, time

def handler(job):
    with open("calls", "a") as file:
        file.write("x")
    for number in range(30):
        print("line", number)
        yield {"number": number, "text": "é" * 40}
        time.sleep(job["input"].get("pause", 0))
"""
CHUNKS = [{"number": number, "text": "é" * 40} for number in range(30)]
LINES = "".join(f"line {number}\n" for number in range(30))
WAITS = """
import os, time

def handler(job):
    with open("calls", "a") as file:
        file.write("x")
    while not os.path.exists("go"):
        time.sleep(0.005)
    return "done"
"""


@pytest.fixture(params=TARGETS)
def target(request, tmp_path):
    """One of each test's own: what it breaks is nobody else's."""
    with place(request, tmp_path / "rpnb") as found:
        yield found


@pytest.fixture
def session(target):
    session = rpnb.connect(target.text, name="behaviour", python=sys.executable)
    yield session
    session.stop()


def on_both(rows, *far):
    """Parameters (target, row): every row on this machine, those of `far` over SSH, too."""
    here = [pytest.param("local", row, id=f"local-{_named(row)}") for row in rows]
    marks = pytest.mark.ssh
    there = [pytest.param("ssh", row, marks=marks, id=f"ssh-{_named(row)}") for row in far]
    return here + there


def _named(row):
    return " ".join(row) if isinstance(row, list) else str(row)


@pytest.fixture
def processes(session, target):
    return Processes(target.home)


def calls(processes):
    file = processes.directory.app / "calls"
    return file.read_text().count("x") if file.exists() else 0


def kinds(processes, request):
    return [e.kind for e in Journal(processes.directory.journal).read() if e.request == request]


def begun(session, made, value=None):
    """Submit a job and return its run once it has begun, with what was seen so far."""
    running, seen = session.submit(made, job=job(value)), Seen()
    for update in running:
        seen.append(update)
        if isinstance(update, JobStarted):
            return running, seen
    raise AssertionError(f"the job did not begin: {seen}")


LENGTH = "def handler(job):\n    return len(value)"


def let_go(processes):
    (processes.directory.app / "go").touch()


# Links


def test_link_cut_at_any_byte_loses_and_repeats_nothing(session, processes):
    made = program(handler=COUNTED)
    for count, first in enumerate([1, 12, 700, 1500, 4000], 1):
        cut_after(session, first, 2 * first + 411, 1999)
        seen = run(session, made, {"pause": 0.002})
        assert seen.result.stream == CHUNKS, first
        assert seen.result.logs == LINES, first
        assert calls(processes) == count, first


def test_request_cut_on_its_way_there_runs_once(session, processes):
    made = program(handler=COUNTED)
    for count, first in enumerate([3, 90, 600], 1):
        cut_after(session, first, first + 77, direction="sent")
        assert run(session, made).result.stream == CHUNKS, first
        assert calls(processes) == count, first


def test_link_cut_while_a_job_runs_is_told_and_mended(session, processes):
    running, seen = begun(session, program(handler=WAITS))
    hang_up(session)
    let_go(processes)
    seen += running
    assert [u.state for u in seen.of(LinkChanged)] == ["lost", "back"]
    assert (seen.result.output, calls(processes)) == ("done", 1)


def test_link_that_freezes_is_suspected_and_replaced(session, processes, target, request):
    if target.kind != "ssh":
        pytest.skip("a unix socket does not freeze")
    running, seen = begun(session, program(handler=WAITS))
    request.getfixturevalue("sshd").freeze()
    let_go(processes)
    seen += running
    changes = seen.of(LinkChanged)
    assert [u.state for u in changes] == ["suspect", "back"]
    assert changes[0].seconds < 2.5
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


# Killed processes

VICTIMS = [["relay"], ["keeper"], ["worker"], ["relay", "keeper", "worker"]]
killing = pytest.mark.parametrize(
    ("target", "victims"), on_both(VICTIMS, VICTIMS[-1]), indirect=["target"]
)


@killing
def test_process_killed_while_idle_costs_no_result(session, processes, victims):
    made = program("import os\nmodel = os.getpid()", handler="def handler(job):\n    return model")
    before = run(session, made).result.output
    processes.kill(*victims)
    after = run(session, made).result
    assert after.ok, after
    assert (after.output == before) == ("worker" not in victims)


@killing
def test_process_killed_while_a_job_runs(session, processes, victims):
    running, seen = begun(session, program(handler=WAITS))
    until(lambda: calls(processes), "the handler")
    processes.kill(*victims)
    let_go(processes)
    seen += running
    if "worker" in victims:
        assert seen.result.status == "FAILED"
        assert "worker" in seen.result.problem
    else:
        assert seen.result.output == "done"
    assert calls(processes) == 1
    assert run(session, program(handler="def handler(job):\n    return 1")).result.ok


@killing
def test_process_killed_during_set_up(session, processes, victims):
    waits = "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.005)\nmodel = 1"
    made = program(waits, handler="def handler(job):\n    return model")
    running, seen = session.submit(made, job=job()), Seen()
    for update in running:
        seen.append(update)
        if isinstance(update, Planned):
            break
    processes.kill(*victims)
    let_go(processes)
    seen += running
    if "worker" in victims:
        assert seen.failed.phase == "worker"
    else:
        assert seen.result.output == 1
    assert run(session, made).result.output == 1


def test_secret_outlives_relay_and_worker_while_its_client_lives(session, processes):
    session.set_env({"TOKEN": "s3cret"})
    look = program(handler="import os\n\ndef handler(job):\n    return os.environ.get('TOKEN')")
    assert run(session, look).result.output == "s3cret"
    processes.kill("relay", "keeper", "worker")
    assert run(session, look).result.output == "s3cret"


def test_request_that_a_killed_relay_had_handed_over_runs_once(session, processes):
    made = program(handler=COUNTED)
    run(session, program(handler="def handler(job):\n    return 1"))
    processes.signal("worker", "stop")
    running = session.submit(made, job=job())
    time.sleep(0.1)  # the relay hands it over; there is nothing to see of that
    processes.kill("relay")
    Seen(_until_back(running))
    processes.signal("worker", "go on")
    assert Seen(running).result.stream == CHUNKS
    assert run(session, made).result.ok
    assert calls(processes) == 2
    assert kinds(processes, running.request).count("finished") == 1


def _until_back(running):
    for update in running:
        yield update
        if isinstance(update, LinkChanged) and update.state == "back":
            return


def test_session_stops_though_its_worker_is_dead(session, processes):
    processes.kill("worker", "keeper")
    relay = processes.pid("relay")
    session.stop()
    until(lambda: not is_alive(relay), "the relay's end")


# Clients

CLIENT = """
import sys
sys.path[:0] = {path!r}
import rpnb
from tests.behaviour.cells import job, program
session = rpnb.connect({target!r}, name="behaviour", python=sys.executable)
running = session.submit(program(handler={handler!r}), job=job())
for update in running:
    print(running.request, type(update).__name__, flush=True)
"""


def test_job_of_a_killed_client_is_found_by_the_next_one(session, processes, target):
    session.close()
    text = CLIENT.format(path=[os.getcwd()], target=target.text, handler=WAITS)
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True) as gone:
        request = next(line.split()[0] for line in gone.stdout if "JobStarted" in line)
        gone.kill()
    let_go(processes)
    session.open()
    seen = Seen(attach(session, request))
    assert (seen.result.output, calls(processes)) == ("done", 1)


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
@pytest.mark.parametrize(
    ("target", "delay"), on_both([0.0, 0.02, 0.1, 0.2, 0.4], 0.1, 0.4), indirect=["target"]
)
def test_interrupted_connect_leaves_nothing_in_the_way(target, delay):
    timer = threading.Timer(delay, _thread.interrupt_main)
    session = None
    try:
        timer.start()
        session = rpnb.connect(target.text, name="behaviour", python=sys.executable)
        time.sleep(5)
    except KeyboardInterrupt:
        pass
    gc.collect()  # what it left open is this test's, not the next one's
    again = rpnb.connect(target.text, name="behaviour", python=sys.executable)
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
        except KeyboardInterrupt:
            pressed = True
        timer.join()
        statuses = [each.result.status for each in seen.of(Finished)]
        # Pressed early it is cancelled before it begins.
        assert statuses in ([[], ["CANCELLED"], ["COMPLETED"]] if pressed else [["COMPLETED"]])
        assert run(session, made).result.stream == CHUNKS


# Floods


@pytest.mark.parametrize("target", TARGETS[1:], indirect=True)
def test_million_lines_arrive_whole(session):
    made = program(handler="def handler(job):\n    for n in range(1_000_000):\n        print(n)")
    count = last = 0
    for update in session.submit(made, job=job()):
        if isinstance(update, Logged):
            count += update.text.count("\n")
            last = update.text
    assert count == 1_000_000
    assert last.endswith("999999\n")


@pytest.mark.parametrize("target", TARGETS[:1], indirect=True)
def test_large_result_arrives_whole(session):
    made = program(handler="def handler(job):\n    return 'x' * (100 << 20)")
    assert len(run(session, made).result.output) == 100 << 20


# What a quiet session costs


def test_quiet_session_uses_no_processor(session, processes):
    run(session, program(handler="def handler(job):\n    return 1"))
    pids = [processes.pid(name) for name in ("relay", "keeper", "worker")]
    before, here = [cpu_seconds(pid) for pid in pids], time.process_time()
    time.sleep(2)
    assert [cpu_seconds(pid) - was for pid, was in zip(pids, before, strict=True)] == [0, 0, 0]
    # paramiko looks ten times a second whether it was closed.
    assert time.process_time() - here < 0.1


# Full disks


@pytest.fixture
def small_disk(tmp_path, monkeypatch):
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk here")
    monkeypatch.setenv("RPNB_HOME", str(folder))
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_value_that_does_not_fit_is_said(small_disk):
    session = rpnb.connect("local", name="full", python=sys.executable)
    try:
        value = os.urandom(3 << 20)
        large = program(handler=LENGTH, names=_names(value=value))
        with pytest.raises(RpnbError, match="[Nn]o space"):
            run(session, large)
        small = program(handler="def handler(job):\n    return 1")
        assert run(session, small).result.ok
    finally:
        session.stop()
