"""Open a channel to a unix socket on the other side of an SSH connection.

Paramiko has no call for it: this is its `Transport.open_channel` with the message
of OpenSSH's PROTOCOL, section 2.4, and so it touches paramiko's own parts.
"""

from __future__ import annotations

import threading
from typing import Any

import paramiko
from paramiko.common import cMSG_CHANNEL_OPEN


def open_streamlocal(
    transport: Any, path: str, *, window_bytes: int, timeout: float
) -> paramiko.Channel:
    """Return a channel to the unix socket at `path`. `transport` is paramiko's.

    Raises:
        ChannelException: the server forbids it, or nobody listens there.
        SSHException: the connection has ended.
        TimeoutError: no answer.
    """
    channel, opened = _register(transport, window_bytes)
    message = paramiko.Message()
    message.add_byte(cMSG_CHANNEL_OPEN)
    message.add_string("direct-streamlocal@openssh.com")
    for value in (channel.chanid, window_bytes, transport.default_max_packet_size):
        message.add_int(value)
    message.add_string(path)
    message.add_string("")
    message.add_int(0)
    transport._send_user_message(message)
    _wait(transport, opened, timeout)
    if transport._channels.get(channel.chanid) is None:
        raise transport.get_exception() or paramiko.SSHException("the channel did not open")
    return channel


def _register(transport: Any, window_bytes: int) -> tuple[paramiko.Channel, threading.Event]:
    opened = threading.Event()
    with transport.lock:
        number = transport._next_channel()
        channel: Any = paramiko.Channel(number)
        transport._channels.put(number, channel)
        transport.channel_events[number] = opened
        transport.channels_seen[number] = True
        channel._set_transport(transport)
        channel._set_window(window_bytes, transport.default_max_packet_size)
    return channel, opened


def _wait(transport: Any, opened: threading.Event, timeout: float) -> None:
    # The event is not set when the connection ends: look at that, too.
    for _ in range(int(timeout * 10)):
        if opened.wait(0.1) or not transport.is_active():
            return
    raise TimeoutError(f"no channel was opened within {timeout:.0f} s")
