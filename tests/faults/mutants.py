"""Broken implementations: the product with one promise taken out, each of which must be caught.

`MUTANTS` maps what is wrong to what puts it in place: (object, attribute, replacement) of each
thing that is changed. `LIKE` are those that break what another one breaks in another place.
"""

from __future__ import annotations

import os
from dataclasses import replace
from types import SimpleNamespace

from rpnb.agent import charge, clients, desk, feed, journal, known
from rpnb.agent.clients import Client
from rpnb.agent.feed import Feed
from rpnb.agent.record import Record
from rpnb.protocol.frames import FrameReader
from rpnb.protocol.messages import decode, encode
from rpnb.protocol.replay import Cursor
from rpnb.session.dialogue import Dialogue

_attach, _again = Client.attach, Feed.again.__func__
_hello, _meet = Dialogue.hello, Dialogue.meet
_welcome, _pieces = desk.Desk._welcome, feed._pieces
_append, _init = journal.Journal.append, journal.Journal.__init__
_read, _write = known.Known.read.__func__, known.Known.write


# The client's cursor


def _take_all(self, event):
    self.seq = event.seq
    return True


def _take_new(self, event):
    """Without a look at what is missing."""
    is_new = event.seq > self.seq
    self.seq = max(self.seq, event.seq)
    return is_new


def _hello_ahead(self):
    hello = _hello(self)
    return replace(hello, seq=hello.seq + 1) if hello.seq >= 0 else hello


def _hello_past_the_log(self):
    hello = _hello(self)
    return replace(hello, out=hello.out + 1) if hello.seq >= 0 else hello


def _meet_and_say_nothing(self, answer):
    _meet(self, answer)
    return []


def _meet_without_cancels(self, answer):
    return [said for said in _meet(self, answer) if type(said).__name__ != "Cancel"]


# The agent: what is told


def _attach_at(shift):
    def attach(self, hello, record):
        seq = hello.seq + shift if 0 <= hello.seq < record.seq else hello.seq
        _attach(self, replace(hello, seq=seq), record)

    return attach


def _attach_past_the_log(self, hello, record):
    is_behind = 0 <= hello.out < record.settled["out"]
    _attach(self, replace(hello, out=hello.out + 1) if is_behind else hello, record)


def _events_before_logs(self):
    entry = self._peek()
    if entry is not None:
        return self._events(entry)
    return self._log(self._rest or self._record.settled, self._newest(entry))


def _swapped(reader, start, end):
    data = b"".join(_pieces(reader, start, end))
    events = [encode(decode(frame)) for frame in FrameReader().receive_data(data)]
    yield b"".join([*events[1:2], *events[:1], *events[2:]])


def _twice(reader, start, end):
    yield from _pieces(reader, start, end)
    yield from _pieces(reader, start, end)


def _again_late(cls, record, trace, live):
    found = _again(cls, record, trace, live)
    found.seq += 1
    return found


def _jump_in_silence(self, seq):
    self.close()
    self.seq = seq
    return iter(())


def _welcome_behind(self, client):
    found = _welcome(self, client)
    return replace(found, seq=max(found.seq - 1, 0))


# The agent: what is known and done


def _append_later(self, kind, body, **rest):
    """Keep the last event in memory until the next one comes."""
    held, self._held = getattr(self, "_held", b""), b""
    write = self._write

    def keep(data):
        self._held = data
        if held:
            write(held)

    self._write = keep
    try:
        return _append(self, kind, body, **rest)
    finally:
        self._write = write


def _forget_all(self, trace):
    del self.traces[trace.request]


def _write_without_traces(self, directory):
    kept, self.traces = self.traces, {}
    try:
        _write(self, directory)
    finally:
        self.traces = kept


def _read_if_nothing_follows(cls, directory):
    """Give the index up once whole segments lie beyond it, as was done."""
    found, there = _read(cls, directory), journal.segments(directory.journal)
    return found if there and there[-1] <= found.seq + 1 else cls()


def _run_again(self, obituary, kept):
    del obituary
    if self.requests.current is not None and kept is None:
        self.requests.again()


def _leave_the_place_taken(self, client):
    self._held = [each for each in self._held if each[0] is not client]


def _no(*_given, **_options):
    return False


_NO_REQUEST_IS_KNOWN = [(desk.Desk, "_knows", _no), (charge.Charge, "_is_under_way", _no)]
MUTANTS = {
    "every event is new": [(Cursor, "take", _take_all)],
    "the cursor stands still": [(Cursor, "take", lambda self, event: True)],
    "the cursor is ahead": [(Dialogue, "hello", _hello_ahead)],
    "the cursor of the log is ahead": [(Dialogue, "hello", _hello_past_the_log)],
    "log bytes are taken twice": [(Cursor, "take_output", lambda self, out: (0, out.data))],
    "requests are not said again": [(Dialogue, "meet", _meet_and_say_nothing)],
    "cancels are not said again": [(Dialogue, "meet", _meet_without_cancels)],
    "replay begins a number late": [(Client, "attach", _attach_at(1))],
    "replay of the log begins late": [(Client, "attach", _attach_past_the_log)],
    "replay begins a number early, and all is new": [
        (Client, "attach", _attach_at(-1)),
        (Cursor, "take", _take_all),
    ],
    "events come before their logs": [(Feed, "take", _events_before_logs)],
    "events are swapped": [(feed, "_pieces", _swapped)],
    "events are swapped, and nobody asks for what is missing": [
        (feed, "_pieces", _swapped),
        (Cursor, "take", _take_new),
    ],
    "events come twice, and all is new": [(feed, "_pieces", _twice), (Cursor, "take", _take_all)],
    "a run told again lacks its first event": [(Feed, "again", classmethod(_again_late))],
    "nobody is told what is kept no more": [(Feed, "_jump", _jump_in_silence)],
    "a newcomer is told the number before": [(desk.Desk, "_welcome", _welcome_behind)],
    "no request is known": _NO_REQUEST_IS_KNOWN,
    "a request that was forgotten is unknown": [(known.Known, "forget", _forget_all)],
    "the next agent knows of no reply": [(known.Known, "write", _write_without_traces)],
    "the next agent gives up what was known long ago": [
        (known.Known, "read", classmethod(_read_if_nothing_follows))
    ],
    "the next agent knows of no open request": [(Record, "open_requests", lambda self: [])],
    "what a dead worker had is not ended": [(charge.Charge, "_end_requests", lambda *_: None)],
    "what a dead worker had is run again": [(charge.Charge, "_end_requests", _run_again)],
    "an event is written after it was announced": [(journal.Journal, "append", _append_later)],
    "a torn record stays": [
        (journal, "os", SimpleNamespace(**{**vars(os), "ftruncate": lambda *_: None}))
    ],
    "what is queued has no bound": [(clients, "_HIGH_WATER", 1 << 30)],
    "answers have no bound": [(clients, "_MOST_SAID", 1 << 30)],
    "the session's id does not matter": [
        (desk, "_is_same", lambda one, other: one is not None and one.client == other.client)
    ],
    "a client that comes back is a stranger": [(desk, "_is_same", _no)],
    "the driver's place stays taken": [(desk.Desk, "leave", _leave_the_place_taken)],
}
# Tried in the long form only.
LIKE = {
    "the cursor stands still",
    "the cursor is ahead",
    "the cursor of the log is ahead",
    "replay of the log begins late",
    "replay begins a number early, and all is new",
    "events are swapped, and nobody asks for what is missing",
    "events come twice, and all is new",
    "a newcomer is told the number before",
    "a request that was forgotten is unknown",
    "the next agent knows of no reply",
    "the next agent gives up what was known long ago",
    "what a dead worker had is run again",
    "answers have no bound",
    "a client that comes back is a stranger",
}
