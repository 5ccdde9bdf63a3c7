"""The keeper: the worker's surroundings, and the record of its end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rpnb.agent.directory import RunDirectory, Settings
from tests.agent.agents import until

KEEP = """
import sys
from rpnb.agent import keeper
from rpnb.agent.directory import RunDirectory, hold
def work(directory, generation, lock):
    exec(sys.argv[2])
    return 0
directory = RunDirectory(sys.argv[1])
sys.exit(keeper.main(directory, 7, hold(directory.keeper_lock), work))
"""


@pytest.fixture
def directory(tmp_path):
    directory = RunDirectory(tmp_path / "run" / "w")
    directory.create()
    directory.write_settings(Settings(sys.executable, ["/last"], ["/first"]))
    return directory


@pytest.fixture
def keep(directory):
    """Run work under a keeper; kills keeper and worker at the end."""
    keepers = []

    def start(work):
        command = [sys.executable, "-c", KEEP, str(directory.path), work]
        keepers.append(subprocess.Popen(command, start_new_session=True))
        return keepers[-1]

    yield start
    for keeper in keepers:
        if keeper.poll() is None:
            keeper.kill()
        keeper.wait()
        if directory.pids.exists():
            kill(json.loads(directory.pids.read_bytes())["worker"])


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def is_running(pid):
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return False
    return fields[0] != b"Z"


def ended(directory, keeper):
    assert keeper.wait(60) == 0
    return json.loads(directory.exit.read_bytes())


def test_exit_code_is_recorded(directory, keep):
    found = ended(directory, keep("sys.exit(3)"))
    assert (found["generation"], found["code"], found["signal"]) == (7, 3, None)
    assert found["peak_bytes"] > 1_000_000


def test_signal_is_recorded(directory, keep):
    found = ended(directory, keep("import os; os.kill(os.getpid(), 11)"))
    assert (found["code"], found["signal"]) == (None, signal.SIGSEGV)


def test_output_goes_to_the_logs(directory, keep):
    ended(directory, keep("import os; os.write(1, b'to out'); os.system('echo to err >&2')"))
    assert directory.out.read_bytes() == b"to out"
    assert directory.err.read_bytes() == b"to err\n"


def test_error_of_the_work_is_in_the_log(directory, keep):
    assert ended(directory, keep("1 / 0"))["code"] == 1
    assert "ZeroDivisionError" in directory.err.read_text()


def test_worker_runs_in_app_in_a_session_of_its_own(directory, keep):
    work = "import os; print(os.getcwd(), os.getsid(0) == os.getpid(), sys.stdin.read() == '')"
    ended(directory, keep(work))
    assert directory.out.read_text().split() == [str(directory.app), "True", "True"]


def test_overlay_goes_around_the_path(directory, keep):
    ended(directory, keep("print(sys.path[0], sys.path[-1])"))
    assert directory.out.read_text().split() == ["/first", "/last"]


def test_worker_is_a_better_victim_than_the_agent(directory, keep):
    ended(directory, keep("print(open('/proc/self/oom_score_adj').read())"))
    assert int(directory.out.read_text()) >= 500


def test_what_the_worker_left_behind_is_ended(directory, keep):
    work = (
        "import subprocess; a = subprocess.Popen(['sleep', '60']);"
        "b = subprocess.Popen(['sleep', '60'], start_new_session=True); print(a.pid, b.pid)"
    )
    ended(directory, keep(work))
    for pid in map(int, directory.out.read_text().split()):
        until(lambda pid=pid: not is_running(pid), f"the end of {pid}")


def test_orphans_are_reaped_while_the_worker_lives(directory, keep):
    # A grandchild whose parent ends at once: it comes to the keeper.
    work = "import os, time; os.system('(sleep 0.2 & echo $!)'); time.sleep(60)"
    keep(work)
    pid = int(until(directory.out.read_text, "the grandchild's number"))
    until(lambda: not Path(f"/proc/{pid}").exists(), "the grandchild's burial")
    assert directory.is_keeper_alive()


def test_keeper_starts_no_worker_beside_one_that_lives(directory, keep):
    first = keep("import time; time.sleep(60)")
    until(directory.pids.exists, "the worker")
    first.kill()
    assert keep("print('second')").wait(60) == 1
    assert directory.out.read_text() == ""


def test_worker_counts_as_alive_from_its_first_moment(directory, keep):
    # It has not come to anything yet, least of all to a lock of its own.
    keeper = keep("import time; print('up', flush=True); time.sleep(60)")
    until(lambda: directory.out.read_text() and directory.pids.exists(), "the worker")
    assert directory.is_worker_alive()
    keeper.kill()
    keeper.wait()
    assert directory.is_worker_alive()
    kill(json.loads(directory.pids.read_bytes())["worker"])
    until(lambda: not directory.is_worker_alive(), "the worker's end")


def test_keeper_killed_at_the_fork_leaves_a_worker_that_can_be_found(directory):
    dies = "fork = os.fork\nos.fork = lambda: fork() and os.kill(os.getpid(), 9)\ndef work"
    command = [sys.executable, "-c", "import os" + KEEP.replace("def work", dies)]
    assert subprocess.run([*command, str(directory.path), "import time; time.sleep(60)"]).returncode
    kill(
        json.loads(until(directory.pids.exists, "who it is") and directory.pids.read_bytes())[
            "worker"
        ]
    )
    until(lambda: not directory.is_worker_alive(), "the worker's end")


def test_keeper_killed_leaves_the_worker_alive(directory, keep):
    keeper = keep("import time; print('up', flush=True); time.sleep(60)")
    until(lambda: directory.out.read_text() and directory.pids.exists(), "the worker")
    keeper.kill()
    keeper.wait()
    until(lambda: not directory.is_keeper_alive(), "the keeper's end")
    assert is_running(json.loads(directory.pids.read_bytes())["worker"])
