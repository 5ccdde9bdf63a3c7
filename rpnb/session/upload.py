"""Sending the blocks of values that an agent lacks, beside the traffic that must stay quick."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from ..errors import CannotCapture, RpnbError
from ..protocol import messages
from ..protocol.blobs import blocks

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from ..transport.stream import Stream

    Bulk = Callable[[], AbstractContextManager[Stream]]
    from .link import OpenRequest

# Up to here a value shares the control stream; more gets a transport of its own,
# for a ping behind an upload waited 1.3 s at 20 Mbit/s (facts/ssh.md).
SMALL_BYTES = 1 << 20


def upload(
    missing: dict[str, Any],
    opened: OpenRequest,
    control: Stream | None,
    bulk: Bulk,
) -> None:
    """Send the missing blocks, {digest: [index, …]}, from a thread; trouble goes to the inbox."""

    def work() -> None:
        try:
            _send(missing, opened, control, bulk)
        except (OSError, RpnbError) as error:
            # A cut link is the link's business: it redials and the agent asks again.
            if not isinstance(error, OSError):
                opened.inbox.put(error)

    threading.Thread(target=work, daemon=True).start()


def _send(
    missing: dict[str, Any],
    opened: OpenRequest,
    control: Stream | None,
    bulk: Bulk,
) -> None:
    for digest in missing:
        if digest not in opened.blobs:
            raise CannotCapture(
                f"the target no longer has a value that the program needs ({digest[:8]}). "
                "Run the cell that defines it here again."
            )
    small = sum(len(opened.blobs[digest]) for digest in missing) <= SMALL_BYTES
    if small and control is not None:
        _send_blocks(missing, opened, control)
        return
    with bulk() as stream:
        stream.send(messages.encode(messages.Hello("bulk", "bulk")))
        if stream.receive():  # its Welcome: the agent listens
            _send_blocks(missing, opened, stream)
            # A stream that is closed loses what is still on its way: wait for the echo.
            stream.send(messages.encode(messages.Ping(0)))
            stream.receive()


def _send_blocks(missing: dict[str, Any], opened: OpenRequest, stream: Stream) -> None:
    for digest, wanted in missing.items():
        data = opened.blobs[digest]
        for index, block in blocks(data, wanted):
            stream.send(messages.encode(messages.Blob(digest, len(data), index, bytes(block))))
