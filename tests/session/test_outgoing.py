"""Whether what was sent arrives, by what the other machine's TCP has acknowledged."""

from __future__ import annotations

from rpnb.session.outgoing import Sending


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
