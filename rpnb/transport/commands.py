"""Run one command to its end: feed stdin, gather its output, hand on its lines."""

from __future__ import annotations

import codecs
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ..errors import CannotReach
from .stream import Completed
from .text import harmless

# The agent's own answers are below a megabyte; a pip that compiles may write a few.
_MOST_BYTES = 64 << 20


@dataclass
class Pipes:
    """A running command's three streams and how to learn its exit code."""

    read_out: Callable[[], bytes]
    read_err: Callable[[], bytes]
    feed: Callable[[bytes], None]
    wait: Callable[[], int]
    _lines: queue.SimpleQueue[bytes | BaseException] = field(default_factory=queue.SimpleQueue)


def complete(pipes: Pipes, stdin: bytes, on_line: Callable[[str], None] | None) -> Completed:
    """Drive the command to its end and return what it wrote.

    Threads do the blocking reads, so an interrupt reaches the caller in a
    plain queue and never inside the transport's own locks.
    """
    err: list[bytes] = []
    threads = [
        _thread(lambda: pipes.feed(stdin)),
        _thread(lambda: _read(pipes, pipes.read_err, err.append)),
        _thread(lambda: _read(pipes, pipes.read_out, pipes._lines.put)),
    ]
    out = "".join(_hand_on(_text(pipes), on_line))
    code = pipes.wait()
    for thread in threads[1:]:
        thread.join()
    return Completed(code, out, harmless(b"".join(err).decode("utf-8", "replace")))


def _thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, name="rpnb command", daemon=True)
    thread.start()
    return thread


def _read(pipes: Pipes, read: Callable[[], bytes], take: Callable[[bytes], object]) -> None:
    """Take what is read until its end, which only stdout passes on."""
    size = 0
    try:
        for data in iter(read, b""):
            take(data)
            size += len(data)
            if size > _MOST_BYTES:
                raise CannotReach(f"a command there printed over {_MOST_BYTES >> 20} MB")
        if read is pipes.read_out:
            take(b"")
    except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
        pipes._lines.put(error)


def _text(pipes: Pipes) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while data := pipes._lines.get():
        if isinstance(data, BaseException):
            raise data
        yield decoder.decode(data)
    yield decoder.decode(b"", final=True)


def _hand_on(chunks: Iterator[str], on_line: Callable[[str], None] | None) -> Iterator[str]:
    rest = ""
    for chunk in chunks:
        yield chunk
        if on_line is not None:
            *lines, rest = (rest + chunk).split("\n")
            for line in lines:
                on_line(line)
    if rest and on_line is not None:
        on_line(rest)
