from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpnb.errors import BadTarget, CannotReach, LinkLost
from rpnb.transport import open_transport
from rpnb.transport.memory import pair
from rpnb.transport.stream import Transport


@pytest.fixture
def local() -> Iterator[Transport]:
    transport = open_transport("local")
    yield transport
    transport.close()


def test_local_run_returns_code_and_both_outputs(local: Transport) -> None:
    done = local.run("echo out; echo err >&2; exit 3")
    assert (done.code, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_local_run_of_a_killed_command_has_its_signal(local: Transport) -> None:
    assert local.run("kill -9 $$").code == -signal.SIGKILL


def test_local_run_feeds_stdin_whatever_its_size(local: Transport) -> None:
    assert local.run("wc -c", b"x" * 1_000_000).stdout.strip() == "1000000"


def test_local_run_that_ignores_stdin_is_no_error(local: Transport) -> None:
    assert local.run("true", b"x" * 1_000_000).code == 0


def test_local_run_hands_on_lines_as_they_come(local: Transport, tmp_path: Path) -> None:
    """The command waits for what its first line causes: it would hang if lines came late."""
    go = tmp_path / "go"
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        go.touch()

    local.run(f"echo one; until [ -e {go} ]; do sleep 0.01; done; printf two", on_line=on_line)
    assert lines == ["one", "two"]


def test_local_run_keeps_characters_whole_across_reads(local: Transport) -> None:
    assert local.run("printf '\\303'; sleep 0.05; printf '\\251'").stdout == "é"


def test_local_run_interrupted_ends_the_command(local: Transport, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"

    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        local.run(f"sleep 60 & echo $! >{pid_file}; echo ready; wait", on_line=interrupt)
    assert _ends(int(pid_file.read_text()))


def test_local_connect_without_a_listener_says_where(local: Transport, tmp_path: Path) -> None:
    with pytest.raises(CannotReach, match="does not listen at .*socket"):
        local.connect(str(tmp_path / "socket"), "")


def test_local_stream_carries_bytes_both_ways(local: Transport, tmp_path: Path) -> None:
    with _listening(tmp_path / "s") as listener:
        stream = local.connect(str(tmp_path / "s"), "")
        peer, _ = listener.accept()
        with peer:
            stream.send(memoryview(b"there"))
            peer.sendall(peer.recv(5)[::-1])
            assert stream.receive() == b"ereht"


def test_local_stream_after_close_reads_nothing_and_refuses_to_send(
    local: Transport, tmp_path: Path
) -> None:
    with _listening(tmp_path / "s"):
        stream = local.connect(str(tmp_path / "s"), "")
        stream.close()
        stream.close()
        assert stream.receive() == b""
        with pytest.raises(LinkLost):
            stream.send(b"x")


def test_local_close_wakes_a_blocked_receive(local: Transport, tmp_path: Path) -> None:
    with _listening(tmp_path / "s"):
        stream = local.connect(str(tmp_path / "s"), "")
        got: list[bytes] = []
        reader = threading.Thread(target=lambda: got.append(stream.receive()))
        reader.start()
        local.close()
        reader.join(60)
        assert got == [b""]


def test_pod_target_says_that_it_comes_later() -> None:
    with pytest.raises(BadTarget, match="comes later"):
        open_transport("runpod:k3x9")


def test_memory_pair_carries_bytes_both_ways() -> None:
    here, there = pair()
    here.send(b"to")
    there.send(memoryview(b"fro"))
    assert (there.receive(), here.receive()) == (b"to", b"fro")


def test_memory_pair_ends_on_both_sides_after_what_was_sent() -> None:
    here, there = pair()
    here.send(b"last")
    here.close()
    assert [there.receive(), there.receive(), here.receive()] == [b"last", b"", b""]
    with pytest.raises(LinkLost):
        there.send(b"x")


def _listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


def _ends(pid: int) -> bool:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                return True
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.01)
    return False
