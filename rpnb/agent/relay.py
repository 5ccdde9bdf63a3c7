"""The relay: serves clients from one worker's files, and steers the worker.

It has no state that matters: killed at any moment, the next one adopts the
directory. It sleeps in `select`; while a request is open it looks at the logs
each 10 ms (a print must be seen before the next event), else nothing wakes it
but a client, the worker's poke, or the end of the idle time.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import time
from pathlib import Path
from typing import Any, Callable

from ..errors import ProtocolError
from ..protocol.messages import Notice, Refused, Stop
from .bootstrap import listens
from .caches import touch
from .channel import is_own
from .charge import Charge
from .clients import Client
from .desk import Desk
from .directory import RunDirectory, hold
from .idle import SECONDS, Idle
from .keeping import Allowance, Keeping
from .record import Record

_TICK = 0.01
# How often an idle relay makes sure that its directory was not removed.
_INSPECTION = 30.0
# How long the last words may take to reach the clients before the relay ends.
_FAREWELL = 1.0
# How long a relay that ends may take to let the next one begin.
_TAKEOVER = 10.0
_STOPS = (signal.SIGTERM, signal.SIGINT)


def main(directory: RunDirectory, agent: Path) -> int:
    """Serve the directory until a stop or the idle time's end; 0 at once if one does already."""
    held = _only_one(directory)
    if held is None:
        return 0
    os.ftruncate(held, 0)
    os.write(held, str(os.getpid()).encode())
    idle = Idle(directory, float(os.environ.get("RPNB_IDLE") or SECONDS))
    touch(agent)
    relay = Relay(directory, agent, idle)
    try:
        relay.run()
        directory.keep.unlink(missing_ok=True)
        relay.close_door()
        # The next agent may begin while this one sees its clients off.
        os.close(held)
        relay.see_off()
    finally:
        relay.close()
    return 0


class Relay:
    """The loop: one listening socket, the clients, and the worker's control socket."""

    def __init__(self, directory: RunDirectory, agent: Path, idle: Idle) -> None:
        self._directory, self._idle = directory, idle
        self._record = Record(directory)
        self._charge = Charge(directory, self._record, agent)
        self._selector = selectors.DefaultSelector()
        self._clients: list[Client] = []
        self._control: Any = None
        allowance = Allowance.of(os.environ)
        self._keeping = Keeping(directory, self._record, allowance)
        self._noticed: Notice | None = None
        self._has_more = False
        self._wake, poke = socket.socketpair()
        for end in (self._wake, poke):
            end.setblocking(False)
        signal.set_wakeup_fd(poke.fileno())
        self._poke = poke
        # Handlers, not SIG_IGN: that would be inherited by the worker.
        for number in (*_STOPS, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        self._watch(self._wake, self._on_signal)
        # Not before: who finds it listening may end it at once, and its worker with it.
        self._listener = _listen(directory.socket)
        self._door = _inode(directory.socket)
        self._watch(self._listener, self._accept)
        self._desk = Desk(directory, self._record, self._charge, idle, self._drop)

    def run(self) -> None:
        """Serve until the worker was stopped, or its directory removed."""
        while not self._charge.is_stopped:
            self._turn(self._timeout())
            if self._idle.left() == 0.0:
                self._stop()
            if _inode(self._directory.socket) != self._door:
                # Nobody can find this agent again, nor end its worker.
                self._charge.abandon()
                return

    def close_door(self) -> None:
        """Let nobody in any more."""
        self._forget(self._listener)
        self._listener.close()
        if _inode(self._directory.socket) == self._door:
            self._directory.socket.unlink()

    def see_off(self) -> None:
        """Send the last words, and let the clients hang up first, for a while.

        A client that is cut before it has read that the worker stopped would
        come back, and so start the next one.
        """
        deadline = time.monotonic() + _FAREWELL
        for client in self._clients:
            if self._charge.last_word is not None:
                client.say(self._charge.last_word)
        while self._clients and time.monotonic() < deadline:
            for client in list(self._clients):
                self._pump(client)
            self._dispatch(_TICK)

    def close(self) -> None:
        """Close every socket."""
        signal.set_wakeup_fd(-1)
        for client in list(self._clients):
            self._drop(client)
        for opened in (self._listener, self._wake, self._poke):
            opened.close()
        self._charge.uploads.close()
        self._record.close()
        self._selector.close()

    def _turn(self, timeout: float | None) -> None:
        self._dispatch(timeout)
        self._desk.step()
        self._charge.step()
        self._keeping.step()
        self._idle.count(sum(client.is_user for client in self._clients))
        if not self._charge.requests.is_empty:
            self._idle.use()
        self._follow_control()
        self._pass_on(self._charge.notice)
        self._has_more = False
        for client in list(self._clients):
            self._pump(client)

    def _dispatch(self, timeout: float | None) -> None:
        for key, mask in self._selector.select(timeout):
            # A client that an earlier one replaced is unregistered by now.
            now = self._selector.get_map().get(key.fd)
            if now is not None and now.fileobj is key.fileobj:
                key.data(mask)

    def _pass_on(self, notice: Notice | None) -> None:
        """Tell every client why nothing goes on, once."""
        if notice == self._noticed:
            return
        self._noticed = notice
        if notice is not None:
            self._keeping.give_all()
            for client in self._clients:
                client.tell(notice)

    def _timeout(self) -> float | None:
        if self._has_more:
            return 0
        if self._charge.is_active or self._desk.is_waiting or self._keeping.is_due:
            return _TICK
        left = self._idle.left()
        return _INSPECTION if left is None else min(_INSPECTION, left)

    def _watch(self, opened: Any, action: Callable[..., None]) -> None:
        self._selector.register(opened, selectors.EVENT_READ, action)

    def _follow_control(self) -> None:
        """Watch the control socket of the worker of now."""
        control = self._charge.control
        if control is not self._control:
            if self._control is not None:
                self._forget(self._control)
                self._control.close()
            self._control = control
            if control is not None:
                self._watch(control, self._on_control)
        if control is not None:
            self._want_write(control, bool(control.pending_bytes))

    def _on_control(self, mask: int) -> None:
        control = self._charge.control
        if control is None:
            return
        if mask & selectors.EVENT_WRITE:
            with contextlib.suppress(OSError):
                control.flush()
        if mask & selectors.EVENT_READ:
            self._charge.hear()

    def _want_write(self, opened: Any, wanted: bool) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if wanted else 0)
        key = self._selector.get_key(opened)
        if key.events != events:
            self._selector.modify(opened, events, key.data)

    def _forget(self, opened: Any) -> None:
        # Before it is closed: its number may be another's the moment after.
        with contextlib.suppress(KeyError):
            self._selector.unregister(opened)

    def _accept(self, _mask: int) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        if not is_own(connection):
            connection.close()
            return
        client = Client(connection)
        self._clients.append(client)
        self._watch(client.channel, lambda mask: self._on_client(client, mask))

    def _on_client(self, client: Client, mask: int) -> None:
        if not mask & selectors.EVENT_READ:
            return
        try:
            data = client.channel.receive()
            if data == b"":
                self._drop(client)
            elif data and not client.is_closing and not self._charge.is_stopped:
                for message in client.protocol.receive_data(data):
                    self._desk.receive(client, message)
        except ProtocolError as error:
            client.say(Refused("protocol", str(error)))
            client.is_closing = True
        except OSError:
            self._drop(client)

    def _pump(self, client: Client) -> None:
        try:
            self._has_more |= client.pump()
        except OSError:
            self._drop(client)
            return
        if client.is_done:
            self._drop(client)
        else:
            self._want_write(client.channel, bool(client.channel.pending_bytes))

    def _drop(self, client: Client) -> None:
        if client in self._clients:
            self._clients.remove(client)
            self._forget(client.channel)
            client.close()
        self._desk.leave(client)

    def _on_signal(self, _mask: int) -> None:
        # One byte for each signal, its number: no handler runs code of ours.
        if set(self._wake.recv(64)) & set(_STOPS):
            self._stop()

    def _stop(self) -> None:
        self._charge.end(Stop("relay"))


def _only_one(directory: RunDirectory) -> int | None:
    """Return the lock of the one relay, None where another one listens or stays."""
    deadline = time.monotonic() + _TAKEOVER
    while time.monotonic() < deadline:
        held = hold(directory.relay_lock, wait=False)
        if held is not None:
            return held
        # The other may be ending just now: then it listens no more.
        if listens(directory.socket):
            return None
        time.sleep(_TICK)
    return None


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except OSError:
        return None


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.setblocking(False)
    # The mode must be right before anybody can connect.
    mask = os.umask(0o177)
    try:
        listener.bind(os.fspath(path))
    finally:
        os.umask(mask)
    listener.listen(64)
    return listener
