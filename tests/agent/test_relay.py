"""The relay: requests, deaths of every process, cancels, drivers, floods."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rpnb.agent import idle
from rpnb.protocol.messages import (
    Cancel,
    Hello,
    Need,
    Notice,
    Ping,
    Pong,
    Refused,
    Replay,
    Restart,
    SetEnv,
    Stop,
    Submit,
    encode,
)
from tests.agent.agents import DEADLINE, Agent, Peer, program, until
from tests.showing import files_showing

HANDLER = "def handler(job):\n    print('in', job['input'], flush=True)\n    return job['input']\n"
SLEEPER = "import time\ndef handler(job):\n    print('asleep', flush=True)\n    time.sleep(60)\n"
STUBBORN = """
import signal, time
signal.signal(signal.SIGUSR2, signal.SIG_IGN)
def handler(job):
    time.sleep(60)
"""


# Kills its worker once there is a file "die", which it takes away.
DIES = """
import os, threading, time
def watch():
    while not os.path.exists('die'):
        time.sleep(0.01)
    os.unlink('die')
    os._exit(9)
threading.Thread(target=watch, daemon=True).start()
"""


def job(value=None):
    return {"id": f"j-{value}", "input": value}


def is_refused(message):
    return isinstance(message, Refused)


def sleeping(peer, request="r", text=SLEEPER, **options):
    """Submit a job that does not end by itself, and wait until it runs."""
    peer.send(Submit(request, program(text), jobs=[job(1)], **options))
    peer.event("job")


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# Requests


def test_submit_runs_the_program_and_its_jobs_in_order(peer):
    assert peer.run("r", HANDLER, jobs=[job(1), job(2)]).kind == "done"
    kinds = peer.kinds("r")
    assert kinds == ["accepted", "planned", "synced", *["job", "finished"] * 2, "done"]
    assert peer.log["out"] == b"in 1\nin 2\n"


def test_output_comes_before_the_event_that_names_it(peer):
    peer.send(Submit("r", program("print('x' * 200_000)")))
    done = peer.ended("r")
    assert len(peer.log["out"]) >= done.out == 200_001


def test_output_comes_while_the_job_runs(peer):
    sleeping(peer)
    peer.wait(lambda _: b"asleep" in peer.log["out"])
    assert "finished" not in peer.kinds("r")


def test_event_with_a_large_buffer_comes_whole(peer):
    text = "def handler(job):\n    return 'y' * 5_000_000\n"
    peer.run("r", text, jobs=[job(1)])
    finished = next(e for e in peer.events if e.kind == "finished")
    assert len(finished.buffers[0]) == 5_000_002


def test_submits_wait_for_each_other(peer):
    peer.send(Submit("a", program("import time; time.sleep(0.2); print('a')")))
    peer.send(Submit("b", program("print('b')")))
    assert peer.ended("b").kind == "done"
    assert peer.log["out"] == b"a\nb\n"


def test_submit_with_a_known_id_is_told_again_and_not_done_again(peer):
    peer.run("r", "print('once')")
    first = [e for e in peer.events if e.request == "r"]
    peer.events.clear()
    peer.log["out"] = b""
    peer.send(Submit("r", program("print('once')")))
    peer.ended("r")
    assert peer.events == first and peer.log["out"] == b"once\n"


def test_replay_sends_a_request_to_a_client_that_came_later(agent, peer):
    peer.run("before", "print('before')")
    peer.run("r", "print('told')")
    peer.run("after", "print('after')")
    late = Peer(agent, "late", "watch")
    late.send(Replay("r"))
    late.ended("r")
    assert late.log["out"] == b"told\n" and set(late.kinds()) == set(peer.kinds("r"))


def test_watcher_of_a_request_that_runs_hears_its_events_in_order(agent, peer):
    """Nothing may come between its welcome and what it asks for."""
    peer.send(Submit("r", program("import os\nwhile not os.path.exists('go'): pass")))
    peer.event("planned")
    late = Peer(agent, "late", "watch")
    (agent.directory.app / "go").touch()
    peer.ended("r")
    late.send(Replay("r"))
    late.ended("r")
    assert [e.seq for e in late.events] == sorted({e.seq for e in late.events})
    assert late.kinds("r") == peer.kinds("r")


def test_watcher_of_a_request_that_waits_hears_all_of_it(agent, peer):
    peer.send(Submit("before", program("import os\nwhile not os.path.exists('go'): pass")))
    peer.event("planned")
    peer.send(Submit("r", program("print('told')")))
    late = Peer(agent, "late", "watch")
    late.send(Replay("r"))
    stops_in(late)  # it was heard
    (agent.directory.app / "go").touch()
    peer.ended("r")
    late.ended("r")
    assert late.kinds("r") == peer.kinds("r")


def test_replay_of_an_unknown_request_is_refused(peer):
    peer.send(Replay("never"))
    assert peer.wait(is_refused).reason == "unknown"


def test_client_with_a_cursor_gets_exactly_the_rest(agent, peer):
    peer.run("a", "print('a')")
    seen = peer.events[-1]
    peer.close()
    again = Peer(agent, "me", seq=seen.seq, out=seen.out, err=seen.err)
    again.run("b", "print('b')")
    assert [e.seq for e in again.events] == list(range(seen.seq + 1, seen.seq + 5))
    assert again.log["out"] == b"b\n"


def test_welcome_tells_what_happened_so_far(agent, peer):
    peer.run("r", HANDLER, jobs=[job(1)])
    late = Peer(agent, "late", "watch")
    assert late.welcome.program == program(HANDLER)
    assert late.welcome.requests[-1]["request"] == "r"
    assert late.welcome.requests[-1]["status"] == "COMPLETED"
    assert late.welcome.info["pid"] == agent.worker_pid()


# Drivers


def test_second_client_may_watch_and_is_told_who_drives(agent, peer):
    second = Peer(agent, "other.ipynb on desk")
    assert not second.welcome.drives
    assert second.welcome.driver == "me"
    second.send(Submit("r", program("1")))
    assert isinstance(peer.wait(lambda m: isinstance(m, Ping)), Ping)
    peer.send(Pong(0))
    refused = second.wait(is_refused)
    assert refused.request == "r" and "me drives" in refused.text


@pytest.mark.parametrize("role", ["drive", "watch"])
def test_who_does_not_drive_cannot_stop_the_worker_and_is_told_what_can(agent, peer, role):
    second = Peer(agent, "other.ipynb on desk", role)
    second.send(Stop("bye"))
    if role == "drive":
        peer.wait(lambda m: isinstance(m, Ping))
        peer.send(Pong(0))
    refused = second.wait(is_refused)
    assert refused.request == "bye" and "`rpnb stop w` ends the worker" in refused.text
    assert peer.run("r", "1").kind == "done"


def test_driver_that_gives_no_sign_of_life_loses_the_wheel(agent, peer):
    """A laptop that sleeps keeps its link for hours."""
    second = Peer(agent, "other.ipynb on desk")
    assert second.run("r", "1").kind == "done"
    while peer.next() is not None:
        pass
    second.send(Stop("bye"))
    assert second.ended("bye").kind == "done"


def test_other_client_of_the_same_name_does_not_take_the_wheel(agent, peer):
    """Two windows on one notebook: they would take it from each other for ever."""
    again = Peer(agent, "me", session="another")
    assert not again.welcome.drives


def test_watcher_drives_when_the_driver_has_left(agent, peer):
    second = Peer(agent, "other")
    peer.close()
    assert second.run("r", "1").kind == "done"


def test_same_client_again_takes_the_wheel(agent, peer):
    again = Peer(agent, "me")
    assert again.welcome.drives
    assert peer.next() is None


def test_client_of_another_version_is_refused(agent, peer):
    with pytest.raises(AssertionError, match="version 1, the client 99"):
        Peer(agent, "future", version=99)


def test_bytes_that_are_no_frames_are_refused_and_harm_nobody(agent, peer):
    noisy = Peer(agent, "noisy", "watch")
    noisy._socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert noisy.wait(is_refused).reason == "protocol"
    assert noisy.next() is None
    assert peer.run("r", "1").kind == "done"


def test_socket_is_for_its_owner_alone(agent, peer):
    assert stat.S_IMODE(agent.directory.socket.stat().st_mode) == 0o600


# Deaths


def test_worker_that_crashes_ends_only_its_request(peer):
    failed = peer.run("r", HANDLER + "import os; os.kill(os.getpid(), 11)")
    assert failed.body["phase"] == "worker" and failed.body["error"]["type"] == "WorkerDied"
    assert "SIGSEGV" in failed.body["error"]["message"]
    exited = next(e for e in peer.events if e.kind == "exited")
    assert exited.body["signal"] == 11 and exited.body["generation"] == 1


def test_crash_in_a_job_finishes_it_as_failed(peer):
    text = "import os\ndef handler(job):\n    print('last words', flush=True)\n    os._exit(9)\n"
    peer.run("r", text, jobs=[job(1), job(2)])
    assert peer.kinds("r")[-3:] == ["job", "finished", "failed"]
    finished = next(e for e in peer.events if e.kind == "finished")
    assert finished.body["status"] == "FAILED" and "code 9" in finished.body["problem"]
    assert not finished.buffers and peer.log["out"] == b"last words\n"


def test_program_is_rebuilt_after_a_crash_without_being_asked(peer):
    peer.run("a", HANDLER)
    peer.run("b", HANDLER + "import os; os._exit(2)")
    assert peer.ended("rebuild-2").kind == "done"
    assert peer.run("c", None, jobs=[job(5)]).kind == "done"
    assert "planned" not in peer.kinds("c"), "the last program that worked was there already"


def test_request_that_waits_for_a_rebuilt_program_is_told(agent, peer):
    go = agent.directory.app / "go"
    go.touch()
    waits = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\n"
    peer.run("a", waits + HANDLER)
    go.unlink()
    peer.run("b", HANDLER + "import os; os._exit(2)")
    peer.send(Submit("c", None, jobs=[job(5)]))
    notice = peer.wait(lambda m: isinstance(m, Notice))
    assert notice.request == "c" and "rebuilt" in notice.text
    go.touch()
    assert peer.ended("c").kind == "done"


def test_program_that_kills_its_worker_is_rebuilt_once(agent, peer):
    """The brake: what dies of being rebuilt waits for the next request."""
    assert peer.run("a", DIES).kind == "done"
    (agent.directory.app / "die").touch()
    assert peer.ended("rebuild-2").kind == "done"
    (agent.directory.app / "die").touch()
    while peer.event("born").body["generation"] < 3:
        pass
    peer.run("b", HANDLER, jobs=[job(1)])
    assert [e.request for e in peer.events if e.kind == "synced"] == ["a", "rebuild-2", "b"]


def test_program_is_not_rebuilt_by_a_restart_that_was_asked_for(peer):
    """It may be asked for to get rid of the load."""
    peer.run("a", HANDLER)
    peer.send(Restart("again"))
    peer.ended("again")
    peer.event("born")
    peer.run("b", "1")
    assert [e.request for e in peer.events if e.kind == "synced"] == ["a", "b"]


def test_worker_that_ends_by_itself_is_followed_by_another(peer):
    assert peer.run("a", HANDLER + "stop = True", jobs=[job(1)]).kind == "done"
    assert peer.event("exited").body["code"] == 0
    assert peer.run("b", None, jobs=[job(2)]).kind == "done"


def test_request_that_reaches_a_worker_on_its_way_out_goes_to_the_next(peer):
    """After a stopPod the process takes a moment to end, its socket still open."""
    leaving = "import atexit, time\nstop = True\natexit.register(time.sleep, 0.5)\n" + HANDLER
    assert peer.run("r1", leaving, jobs=[job(1)]).kind == "done"
    assert peer.run("r2", leaving, jobs=[job(2)]).kind == "done"


def test_worker_that_asks_for_a_fresh_one_gets_the_same_request(peer):
    peer.run("a", "print('a')")
    assert peer.run("b", "# restart\nprint('b')").kind == "done"
    assert peer.kinds("b") == ["accepted", "planned", "accepted", "planned", "synced", "done"]
    assert [e.body["reason"] for e in peer.events if e.kind == "exited"] == ["the text says so"]


def test_worker_that_cannot_be_born_fails_the_request(agent):
    agent.start()
    peer = Peer(agent)
    peer.wait_ready()
    settings = agent.directory.read_settings()
    agent.directory.write_settings(type(settings)("/nowhere/python"))
    os.kill(agent.worker_pid(), signal.SIGKILL)
    peer.event("exited")
    error = peer.run("r", "1").body["error"]
    assert error["type"] == "WorkerDied" and "/nowhere/python" in error["message"]
    agent.directory.write_settings(settings)
    assert peer.run("again", "1").kind == "done"


def test_worker_that_cannot_be_born_is_not_tried_for_ever(agent, peer):
    peer.run("r", "1")
    settings = agent.directory.read_settings()
    agent.directory.write_settings(type(settings)("/nowhere/python"))
    os.kill(agent.worker_pid(), signal.SIGKILL)
    for _ in range(2):
        peer.event("exited")
    peer.send(Ping(1))
    assert peer.wait(lambda m: isinstance(m, Pong)).state == "gone"
    assert agent.directory.read_generation() == 2


def test_relay_killed_while_a_job_runs_loses_nothing(agent, peer):
    text = "import time\ndef handler(job):\n    time.sleep(0.7)\n    print('late')\n    return 1\n"
    sleeping(peer, text=text)
    seen, pid = peer.events[-1], agent.worker_pid()
    agent.kill_relay()
    agent.start()
    again = Peer(agent, "me", seq=seen.seq, out=seen.out, err=seen.err)
    assert again.ended("r").kind == "done"
    assert again.events[0].seq == seen.seq + 1 and again.log["out"] == b"late\n"
    assert agent.worker_pid() == pid
    assert again.run("next", "1").kind == "done"


def test_relay_killed_and_then_the_worker_ends_the_request(agent, peer):
    sleeping(peer)
    seen = peer.events[-1]
    agent.kill_relay()
    os.kill(agent.worker_pid(), signal.SIGKILL)
    until(lambda: not agent.directory.is_keeper_alive(), "the keeper's end")
    agent.start()
    again = Peer(agent, "me", seq=seen.seq, out=seen.out, err=seen.err)
    assert again.ended("r").body["phase"] == "worker"
    assert again.kinds("r") == ["finished", "failed"]
    assert again.run("next", "1").kind == "done"


def test_keeper_killed_is_missed_only_at_the_end(agent, peer):
    pids = json.loads(agent.directory.pids.read_bytes())
    os.kill(pids["keeper"], signal.SIGKILL)
    assert peer.run("a", "1").kind == "done"
    error = peer.run("b", "import os; os._exit(1)").body["error"]
    assert "not known" in error["message"]
    assert peer.run("c", "1").kind == "done"


# Cancel, time limits


def test_cancel_reaches_the_job(peer):
    sleeping(peer)
    peer.send(Cancel("r"))
    assert peer.ended("r").kind == "done"
    assert [e.body["status"] for e in peer.events if e.kind == "finished"] == ["CANCELLED"]
    assert peer.run("next", "1").kind == "done"


def test_cancel_of_a_stubborn_job_replaces_the_worker(peer):
    sleeping(peer, text=STUBBORN)
    asked = time.monotonic()
    peer.send(Cancel("r"))
    failed = peer.ended("r")
    # The grace time, and no minute's sleep.
    assert 2.5 < time.monotonic() - asked < 50
    assert failed.body["phase"] == "cancelled"
    assert peer.events[-2].body["status"] == "CANCELLED"
    assert peer.run("next", "1").kind == "done"


def forced(peer, request):
    """Return the seconds that a stubborn job takes to end."""
    sleeping(peer, request, text=STUBBORN)
    asked = time.monotonic()
    peer.send(Cancel(request, force=True))
    assert peer.ended(request).body["phase"] == "cancelled"
    return time.monotonic() - asked


def test_forced_cancel_waits_for_nothing(peer):
    # The grace time is 3 s; a busy machine may be late once.
    assert any(forced(peer, request) < 2.5 for request in "rst")


def test_cancel_of_a_queued_request_refuses_it(peer):
    sleeping(peer, "a")
    peer.send(Submit("b", program("1")))
    peer.send(Cancel("b"))
    refused = peer.wait(is_refused)
    assert (refused.reason, refused.request) == ("cancelled", "b")


def test_cancel_of_a_request_that_ended_does_nothing(peer):
    peer.run("r", "1")
    peer.send(Cancel("r"))
    assert peer.run("next", "1").kind == "done"


def test_job_over_its_time_is_stopped(peer):
    sleeping(peer, text=STUBBORN, timeout=0.2)
    peer.ended("r")
    assert peer.events[-2].body["problem"] == "timed out after 0.2 s"


def test_job_within_its_time_is_left_alone(peer):
    assert peer.run("r", HANDLER, jobs=[job(1)], timeout=30).kind == "done"


# Steering


def test_ping_is_answered_whatever_the_worker_does(agent, peer):
    sleeping(peer)
    os.kill(agent.worker_pid(), signal.SIGSTOP)
    peer.send(Ping(7))
    pong = peer.wait(lambda m: isinstance(m, Pong))
    assert (pong.number, pong.state) == (7, "busy")


def test_restart_gives_a_new_process_and_keeps_the_program(agent, peer):
    peer.run("r", HANDLER)
    pid = agent.worker_pid()
    peer.send(Restart("again"))
    assert peer.ended("again").kind == "done"
    peer.event("born")
    assert agent.worker_pid() != pid
    assert peer.run("j", None, jobs=[job(1)]).kind == "done"


def test_restart_asked_twice_happens_once(peer):
    for _ in range(2):
        peer.send(Restart("again"))
        peer.ended("again")
    peer.run("r", "1")
    assert peer.kinds().count("exited") == 1


def test_restart_ends_what_runs(peer):
    sleeping(peer)
    peer.send(Restart("again"))
    assert peer.ended("r").body["phase"] == "cancelled"
    assert peer.ended("again").kind == "done"


# Is told to end in the moment in which it begins to listen.
STRUCK = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from _rpnb.agent import relay
from _rpnb.agent.directory import RunDirectory
listen = relay._listen
def struck(path):
    opened = listen(path)
    os.kill(os.getpid(), signal.SIGTERM)
    return opened
relay._listen = struck
sys.exit(relay.main(RunDirectory(sys.argv[2]), Path(sys.argv[1])))
"""


def test_relay_that_is_stopped_as_soon_as_it_listens_ends_its_worker(agent):
    agent.start()
    agent.run("stop", "--worker", "w")
    command = [sys.executable, "-c", STRUCK, str(agent.zip), str(agent.directory.path)]
    assert subprocess.run(command, env=agent.env, timeout=DEADLINE).returncode == 0
    assert not agent.directory.is_alive()


def test_stop_ends_worker_and_relay(agent, peer):
    peer.send(Stop("bye"))
    assert peer.ended("bye").kind == "done"
    assert peer.next() is None
    until(lambda: not agent.directory.is_relay_alive(), "the relay's end")
    assert not agent.directory.is_worker_alive()


def test_stopped_agent_can_be_started_again_at_once(agent, peer):
    peer.send(Stop("bye"))
    peer.ended("bye")
    agent.start()
    again = Peer(agent)
    assert again.run("r", "1").kind == "done" and again.welcome.generation == 2
    # The first link was not cut by the new agent, nor does it reach it.
    assert peer.next() is None


def test_client_may_hang_up_first_after_a_stop(peer):
    asked = time.monotonic()
    peer.send(Stop("bye"))
    peer.ended("bye")
    assert peer.next() is None
    # For so long the relay waits for it: longer on a busy machine, never less.
    assert time.monotonic() - asked >= 1.0


def test_secrets_reach_this_worker_and_the_next(peer):
    peer.send(SetEnv("env", {"TOKEN": "s3cret"}))
    assert peer.ended("env").kind == "done"
    look = "import os; print(os.environ.get('TOKEN'))"
    peer.run("a", look)
    peer.run("b", "import os; os._exit(1)")
    # What "a" printed, and what the fresh worker does, to which the program was given again.
    peer.ended("rebuild-2")
    assert peer.log["out"] == b"s3cret\ns3cret\n"


def test_secrets_are_written_nowhere(agent, peer):
    peer.send(SetEnv("env", {"TOKEN": "s3cret"}))
    peer.ended("env")
    assert files_showing("s3cret", [agent.home]) == set()
    assert files_showing("env", [agent.home]), "the journal names the request"


def test_worker_is_waited_for_two_hours_as_documented():
    assert idle.SECONDS == 2 * 3600


def test_idle_agent_ends_with_its_worker(agent):
    agent.env["RPNB_IDLE"] = "0.3"
    # Kept until `start` has found it listening, which takes its time on a busy machine.
    agent.start("--keep")
    peer = Peer(agent)
    agent.directory.keep.unlink()
    peer.close()
    until(lambda: not agent.directory.is_relay_alive(), "the relay's end")
    assert not agent.directory.is_worker_alive()


def test_agent_whose_directory_was_removed_ends_with_its_worker(agent, peer):
    shutil.rmtree(agent.directory.path)
    peer.send(Ping(1))
    until(lambda: not agent.pids(), "the end of relay, keeper and worker")


def test_agent_with_a_client_is_not_idle(agent):
    agent.env["RPNB_IDLE"] = "1.5"
    # Kept until it is there, as above.
    agent.start("--keep")
    peer = Peer(agent)
    agent.directory.keep.unlink()
    assert stops_in(peer) is not None
    time.sleep(2.0)
    assert peer.run("r", "1").kind == "done"


def test_client_of_a_program_of_many_megabytes_is_welcome(agent, peer):
    peer.run("r", f"x = 1  # {'y' * 5_000_000}")
    assert len(Peer(agent, "you", "watch").welcome.program["text"]) > 5_000_000


def stops_in(peer, number=1):
    peer.send(Ping(number))
    return peer.wait(lambda m: isinstance(m, Pong)).stops_in


def test_unused_worker_is_kept_longer_while_a_notebook_is_open(agent):
    agent.env["RPNB_IDLE"] = "100"
    agent.start()
    watcher = Peer(agent, "ps", "watch")
    assert stops_in(watcher) <= 100
    peer = Peer(agent)
    assert 500 < stops_in(peer) <= 600
    peer.close()
    until(lambda: stops_in(watcher) <= 100, "the notebook's end")


def test_worker_that_is_to_be_kept_is_never_idle_until_it_is_stopped(agent):
    agent.env["RPNB_IDLE"] = "0.3"
    agent.start("--keep")
    time.sleep(0.7)
    peer = Peer(agent)
    assert stops_in(peer) is None
    peer.send(Stop("bye"))
    peer.ended("bye")
    until(lambda: not agent.directory.keep.exists(), "the wish's end")


# Costs


def test_flood_is_read_as_the_client_reads(agent, peer):
    before = resident_bytes(agent.relay_pid())
    lazy = Peer(agent, "lazy")
    # Less than makes a client lose the log's middle that is behind for 3 s.
    peer.run("r", "for _ in range(150): print('x' * 99_999)")
    assert len(peer.log["out"]) == 15_000_000
    # The other one has not read a byte yet.
    assert resident_bytes(agent.relay_pid()) - before < 8_000_000
    lazy.ended("r")
    assert lazy.log["out"] == peer.log["out"]


def test_ping_behind_a_flood_is_answered_soon(peer):
    peer.send(Submit("r", program("for _ in range(20_000): print('x' * 999)")))
    peer.event("planned")
    peer.send(Ping(1))
    peer.wait(lambda m: isinstance(m, Pong))
    # What waits for the client in the socket was sent before; the flood has 20 MB.
    assert len(peer.log["out"]) < 10_000_000
    peer.ended("r")


def test_idle_relay_sleeps(agent, peer):
    peer.run("r", "1")
    # What a run leaves to do may fall into the first second.
    assert any(used_in_a_second(agent.relay_pid()) < 0.05 for _ in range(5))


def used_in_a_second(pid):
    """Return how long a process computes while a second passes."""
    before = cpu_seconds(pid)
    time.sleep(1.0)
    return cpu_seconds(pid) - before


# Blobs: see test_uploads.py for the files themselves


def test_submit_lacking_a_blob_asks_for_it_once(peer):
    peer.send(Submit("r", program("1", {"data/a": ["0" * 64, 3]})))
    need = peer.wait(lambda m: isinstance(m, Need))
    assert need == Need("r", {"0" * 64: [0]})
    assert "accepted" not in peer.kinds("r")


def test_program_that_needs_what_is_not_there_is_refused_before_its_values_are_asked_for(peer):
    wire = program("1", {"data/a": ["0" * 64, 3]})
    there, gone = ["json", "json.decoder:JSONDecoder"], ["json.decoder:No", "json.no:T", "nowhere"]
    peer.send(Submit("r", {**wire, "needs": [*there, *gone, "odd name:x", "."]}))
    refused = peer.wait(lambda m: isinstance(m, (Need, Refused)))
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.request) == ("lacking", "r")
    assert set(gone) <= set(refused.text.split())
    assert not set(there) & set(refused.text.split())


def test_program_whose_needs_are_there_is_asked_for_its_values(peer):
    wire = program("1", {"data/a": ["0" * 64, 3]})
    peer.send(Submit("r", {**wire, "needs": ["json", "json.decoder:JSONDecoder"]}))
    need = peer.wait(lambda m: isinstance(m, (Need, Refused)))
    assert need == Need("r", {"0" * 64: [0]})


def test_request_whose_client_is_gone_before_its_values_came_holds_nobody_up(agent, peer):
    peer.send(Submit("r", program("1", {"data/a": ["0" * 64, 3]})))
    peer.wait(lambda m: isinstance(m, Need))
    peer.close()
    other = Peer(agent, "other")
    assert other.run("s", "print('s')").kind == "done"
    assert "accepted" not in other.kinds("r")


def test_hello_twice_is_a_protocol_error(peer):
    peer._socket.sendall(encode(Hello("me")))
    assert peer.wait(is_refused).reason == "protocol"


def test_two_relays_racing_leave_one(agent: Agent):
    starts = [
        subprocess.Popen(agent.command("start", "--worker", "w"), env=agent.env, stdout=-1)
        for _ in range(3)
    ]
    said = [json.loads(start.communicate(timeout=DEADLINE)[0].splitlines()[-1]) for start in starts]
    assert all("ready" in line for line in said)
    peer = Peer(agent)
    peer.wait_ready()
    assert peer.run("r", "print('one')").kind == "done"
    assert peer.welcome.generation == 1 and peer.log["out"] == b"one\n"
    peer.close()
