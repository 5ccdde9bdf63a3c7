from __future__ import annotations

import contextlib
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import paramiko
import pytest

from rpnb.errors import BadTarget, CannotReach, HostKeyChanged, LinkLost
from rpnb.transport import commands
from rpnb.transport.ssh import SshTransport
from rpnb.transport.stream import Stream
from tests.sshd import Sshd, make_key
from tests.transport.echo import Listener, bridge, echo, four_events

pytestmark = pytest.mark.ssh

Connect = Callable[..., SshTransport]
Listen = Callable[..., Listener]
Server = Callable[..., Sshd]


def test_ssh_run_returns_code_and_both_outputs(sshd: Sshd, connect: Connect) -> None:
    done = connect(sshd.target).run("echo out; echo err >&2; exit 3")
    assert (done.code, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_ssh_run_feeds_stdin_whatever_its_size(sshd: Sshd, connect: Connect) -> None:
    transport = connect(sshd.target)
    assert transport.run("wc -c", b"x" * 5_000_000).stdout.strip() == "5000000"
    assert transport.run("exit 4", b"x" * 5_000_000).code == 4


def test_ssh_run_reads_more_errors_than_a_window_holds(sshd: Sshd, connect: Connect) -> None:
    done = connect(sshd.target).run("head -c 20000000 /dev/zero | tr '\\0' x >&2; echo out")
    assert (len(done.stderr), done.stdout) == (20_000_000, "out\n")


@pytest.mark.parametrize("command", ["yes", "yes >&2"])
def test_ssh_run_ends_a_command_that_prints_without_end(
    command: str, sshd: Sshd, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_MOST_BYTES", 1 << 20)
    transport = connect(sshd.target)
    with pytest.raises(CannotReach, match="a command there printed over 1 MB"):
        transport.run(command)
    assert transport.run("echo still here").stdout == "still here\n"


def test_ssh_run_returns_errors_that_steer_no_terminal(sshd: Sshd, connect: Connect) -> None:
    done = connect(sshd.target).run("printf 'a\\033[2Jb\\r\\n\\tc' >&2")
    assert done.stderr == "a[2Jb\n\tc"


def test_ssh_again_refuses_a_host_that_has_another_key_by_now(
    server: Server, connect: Connect
) -> None:
    sshd = server()
    transport = connect(sshd.target)
    sshd.stop()
    for path in (sshd.host_key, sshd.host_key.with_name("host_key.pub")):
        path.unlink()
    make_key(sshd.host_key)
    sshd.start()
    with pytest.raises(HostKeyChanged, match="shows another host key than the accepted one"):
        transport.again()


def test_ssh_run_hands_on_lines_as_they_come(sshd: Sshd, connect: Connect, tmp_path: Path) -> None:
    go = tmp_path / "go"
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        go.touch()

    waiting = f"echo one; until [ -e {go} ]; do sleep 0.01; done; echo two"
    connect(sshd.target).run(waiting, on_line=on_line)
    assert lines == ["one", "two"]


def test_ssh_run_interrupted_leaves_the_connection_usable(sshd: Sshd, connect: Connect) -> None:
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    transport = connect(sshd.target)
    with pytest.raises(KeyboardInterrupt):
        transport.run("echo ready; sleep 60", on_line=interrupt)
    assert transport.run("echo still here").stdout == "still here\n"


def test_ssh_run_on_a_cut_connection_is_a_lost_link(server: Server, connect: Connect) -> None:
    sshd = server()
    transport = connect(sshd.target)
    with pytest.raises(LinkLost, match="the connection to 127.0.0.1 ended"):
        transport.run("echo ready; sleep 60", on_line=lambda _: sshd.drop())
    with pytest.raises(LinkLost):
        transport.run("true")


def test_ssh_stream_carries_bytes_both_ways(sshd: Sshd, connect: Connect, listener: Listen) -> None:
    stream = connect(sshd.target).connect(str(listener(echo).path), "false")
    stream.send(memoryview(b"there and back"))
    assert _read(stream, 14) == b"there and back"


def test_ssh_stream_uses_the_bridge_where_forwarding_is_forbidden(
    server: Server, connect: Connect, listener: Listen
) -> None:
    sshd, path = server(AllowStreamLocalForwarding="no"), listener(echo).path
    stream = connect(sshd.target).connect(str(path), bridge(path))
    stream.send(b"there and back")
    assert _read(stream, 14) == b"there and back"


def test_ssh_output_begins_below_what_the_shells_start_prints(
    server: Server, connect: Connect, listener: Listen
) -> None:
    """The bashrc of RunPod's images greets whoever comes."""
    sshd, path = server(AllowStreamLocalForwarding="no"), listener(echo).path
    (sshd.home / ".bashrc").write_text("echo Welcome to the pod")
    transport = connect(sshd.target)
    assert transport.run("echo out").stdout == "out\n"
    stream = transport.connect(str(path), bridge(path))
    stream.send(b"there and back")
    assert _read(stream, 14) == b"there and back"


def test_ssh_stream_to_nobody_tells_what_the_bridge_said(
    sshd: Sshd, connect: Connect, tmp_path: Path
) -> None:
    stream = connect(sshd.target).connect(str(tmp_path / "no"), "echo no agent here >&2")
    with pytest.raises(CannotReach, match="no agent here"):
        stream.receive()


@pytest.mark.parametrize("forwarding", ["yes", "no"])
def test_ssh_stream_carries_64_mb_both_ways_at_once(
    forwarding: str, server: Server, connect: Connect, listener: Listen
) -> None:
    sshd, path = server(AllowStreamLocalForwarding=forwarding), listener(echo).path
    stream = connect(sshd.target).connect(str(path), bridge(path))
    data = bytes(range(256)) * (1 << 18)
    assert _there_and_back(stream, data) == data


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_ssh_stream_carries_over_1_gib_both_ways_at_once(
    sshd: Sshd, connect: Connect, listener: Listen
) -> None:
    """Paramiko renews keys each 512 MiB and can deadlock then (paramiko #822)."""
    stream = connect(sshd.target).connect(str(listener(echo).path), "false")
    data = bytes(64 << 20)
    sender = threading.Thread(target=lambda: [stream.send(data) for _ in range(17)])
    sender.start()
    assert len(_read(stream, 17 * len(data), keep=False)) < len(data)
    sender.join()


def test_ssh_reply_of_several_events_is_not_delayed(
    sshd: Sshd, connect: Connect, listener: Listen
) -> None:
    """Sshd holds small writes back for 40 ms until its transport has run one exec."""
    path, transport = str(listener(four_events).path), connect(sshd.target)
    held_back = transport.again()
    held_back._has_run = True  # as if the exec had been
    slow, quick = (_reply_time(x.connect(path, "false")) for x in (held_back, transport))
    held_back.close()
    assert quick < max(0.03, slow / 2)


def test_ssh_stream_after_close_reads_nothing_and_refuses_to_send(
    sshd: Sshd, connect: Connect, listener: Listen
) -> None:
    stream = connect(sshd.target).connect(str(listener(echo).path), "false")
    stream.close()
    stream.close()
    assert stream.receive() == b""
    with pytest.raises(LinkLost):
        stream.send(b"x")


@pytest.mark.parametrize("what", ["stream", "transport"])
def test_ssh_close_wakes_a_blocked_receive(
    what: str, sshd: Sshd, connect: Connect, listener: Listen
) -> None:
    transport = connect(sshd.target)
    stream = transport.connect(str(listener(echo).path), "false")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(stream.receive()))
    reader.start()
    (stream if what == "stream" else transport).close()
    reader.join(60)
    assert got == [b""]


def test_ssh_stream_on_a_cut_connection_ends(
    server: Server, connect: Connect, listener: Listen
) -> None:
    sshd = server()
    stream = connect(sshd.target).connect(str(listener(echo).path), "false")
    sshd.drop()
    assert stream.receive() == b""
    with pytest.raises(LinkLost):
        stream.send(b"x")


def test_ssh_close_on_a_silent_link_does_not_wait(
    server: Server, connect: Connect, listener: Listen
) -> None:
    """The sender is blocked by a peer that reads nothing; closing must end it, too."""
    sshd = server()
    transport = connect(sshd.target)
    stream = transport.connect(str(listener(echo).path), "false")
    sshd.freeze()
    ended = threading.Event()

    def send() -> None:
        with contextlib.suppress(LinkLost):
            stream.send(bytes(64 << 20))
        ended.set()

    threading.Thread(target=send).start()
    start = time.monotonic()
    stream.close()
    transport.close()
    assert ended.wait(60)
    # At once, but for a busy machine; a limit of SSH's own would be 15 s or more.
    assert time.monotonic() - start < 12


def test_ssh_close_twice_is_quiet(sshd: Sshd, connect: Connect) -> None:
    transport = connect(sshd.target)
    transport.close()
    transport.close()


def test_ssh_again_is_a_connection_of_its_own(sshd: Sshd, connect: Connect) -> None:
    first = connect(sshd.target)
    second = first.again()
    first.close()
    assert second.run("echo yes").stdout == "yes\n"
    second.close()


def test_ssh_prefers_the_cipher_that_is_quick(sshd: Sshd, connect: Connect) -> None:
    quick = "aes128-gcm@openssh.com"
    if quick not in paramiko.Transport._preferred_ciphers:
        pytest.skip(f"paramiko {paramiko.__version__} does not know {quick}")
    assert connect(sshd.target)._last.remote_cipher == quick


def test_ssh_stream_local_and_remote_home_are_apart(sshd: Sshd, connect: Connect) -> None:
    """The server stands for a bare machine: an empty home, nothing of this environment."""
    assert connect(sshd.target).run("ls -A ~; echo $VIRTUAL_ENV").stdout == "\n"


def test_ssh_proxied_address_names_the_other_line(connect: Connect) -> None:
    with pytest.raises(BadTarget, match="SSH over exposed TCP"):
        connect("ssh -F /dev/null k3x9-64410@ssh.runpod.io -i ~/.ssh/id_ed25519")


def _read(stream: Stream, size: int, *, keep: bool = True) -> bytes:
    """Read `size` bytes; without `keep` only the last piece is returned."""
    parts: list[bytes] = []
    got = 0
    while got < size:
        data = stream.receive()
        assert data, f"the stream ended after {got} of {size} bytes"
        got += len(data)
        if not keep:
            parts.clear()
        parts.append(data)
    return b"".join(parts)


def _there_and_back(stream: Stream, data: bytes) -> bytes:
    sender = threading.Thread(target=stream.send, args=(data,))
    sender.start()
    back = _read(stream, len(data))
    sender.join()
    return back


def _reply_time(stream: Stream) -> float:
    times = []
    for _ in range(15):
        start = time.perf_counter()
        stream.send(b"go")
        _read(stream, len(b"event") * 4)
        times.append(time.perf_counter() - start)
    stream.close()
    # Of a machine that is busy half of the replies may be late; each that is held back is.
    return statistics.quantiles(times, n=4)[0]
