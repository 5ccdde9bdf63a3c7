"""Whether what was sent arrives, by what the other machine's TCP has acknowledged; what waits."""

from __future__ import annotations

import threading
import tracemalloc
from queue import Queue

import pytest

from rpnb.errors import ProtocolError
from rpnb.protocol import messages
from rpnb.session.outgoing import MOST_WAITING, Outgoing, Sending


class Stream:
    """Takes everything; `left` is what is still on its way."""

    left = 0

    def send(self, data):
        self.left += len(data)

    def unacknowledged(self):
        return self.left


def looks(sending, stream, *left):
    """Return what each look says while less and less is on its way."""
    found = []
    for stream.left in left:
        found.append(sending.has_moved())
    return found


def test_large_message_that_arrives_is_a_sign_of_life_to_its_last_byte():
    """At 50 kB/s its last 32 KiB take 0.7 s, and a ping behind them as long."""
    stream = Stream()
    sending = Sending(stream)
    sending.send(bytes(100_000))
    assert looks(sending, stream, 100_000, 60_000, 30_000, 15_000, 0) == [False] + 4 * [True]


def test_large_message_that_stands_still_is_none():
    stream = Stream()
    sending = Sending(stream)
    sending.send(bytes(100_000))
    assert looks(sending, stream, 100_000, 60_000, 60_000, 20_000, 20_000) == [
        *(False, True, False),
        *(True, False),
    ]


def test_ping_that_only_a_kernel_has_seen_is_none():
    stream = Stream()
    sending = Sending(stream)
    sending.send(bytes(100_000))
    looks(sending, stream, 100_000, 0)
    for _ in range(3):
        sending.send(bytes(60))
        assert looks(sending, stream, 60, 0) == [False, False]


class Gate:
    """A stream that takes one frame whenever it is let."""

    def __init__(self):
        self.taken, self.let = Queue(), threading.Semaphore(0)

    def send(self, data):
        self.taken.put(bytes(data))
        self.let.acquire()

    def unacknowledged(self):
        return 0

    def close(self):
        self.let.release()


def test_message_that_waits_is_not_queued_twice_and_one_that_is_being_sent_is_said_again():
    gate = Gate()
    outgoing = Outgoing(gate)
    first, second = messages.Ping(1), messages.Ping(2)
    outgoing.put(first)
    taken = [gate.taken.get(timeout=60)]
    for message in (second, first, second, first):
        outgoing.put(message)
    assert outgoing.waiting_bytes == len(messages.encode(first)) + len(messages.encode(second))
    gate.let.release()
    taken.append(gate.taken.get(timeout=60))
    gate.let.release()
    taken.append(gate.taken.get(timeout=60))
    assert taken == [messages.encode(each) for each in (first, second, first)]
    outgoing.close()


def test_answers_that_nobody_takes_hold_little_memory_and_are_refused_in_the_end():
    gate = Gate()
    outgoing = Outgoing(gate)
    outgoing.put(messages.Ping(0))
    gate.taken.get(timeout=60)
    tracemalloc.start()
    try:
        for number in range(MOST_WAITING):
            outgoing.put(messages.Pong(number))
        assert tracemalloc.get_traced_memory()[0] < 4 << 20
    finally:
        tracemalloc.stop()
    with pytest.raises(ProtocolError, match="does not read"):
        outgoing.put(messages.Pong(MOST_WAITING))
    outgoing.close()
