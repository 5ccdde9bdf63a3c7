"""From an address to a connected socket, set up for short messages and dead links."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading

from .sshconfig import Settings

# A dead link is given up after this time without an acknowledgement; keepalive alone never
# notices one while bytes wait to be sent. macOS has no such option.
_USER_TIMEOUT_MS = 10_000


def dial(settings: Settings) -> socket.socket:
    """Return a socket connected to the host, or to the ProxyCommand that leads there.

    Raises:
        OSError: the last of what the host's addresses answered.
    """
    if settings.proxy_command is not None:
        return _through(settings.proxy_command)
    connected = socket.create_connection((settings.host, settings.port), settings.timeout)
    # Without this each request waits 40 ms for the delayed acknowledgement of the one before.
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        with contextlib.suppress(OSError):
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
    return connected


def _through(command: str) -> socket.socket:
    ours, theirs = socket.socketpair()
    with theirs:
        # It ends by itself when our end closes. A session of its own, so that
        # Ctrl-C reaches rpnb only.
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    threading.Thread(target=process.wait, name="rpnb proxy", daemon=True).start()
    return ours
