"""Every field of every message, attacked: by an agent at its client, and by a client at an agent.

What is attacked follows from the messages themselves: a new field is attacked, too, and a new
message without a specimen fails the first test.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import struct

import pytest

from rpnb.errors import ProtocolError, RpnbError
from rpnb.jupyter import display
from rpnb.program.steps import Program
from rpnb.protocol import messages
from rpnb.protocol.blobs import digest
from rpnb.protocol.connection import AGENT, CLIENT, State
from rpnb.session import updates
from rpnb.session.dialogue import Dialogue, OpenRequest
from rpnb.session.line import Line
from rpnb.session.run import Run
from rpnb.session.upload import Upload
from tests.faults.machine import Wire

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.\x00\u200b<script>alert(1)</script>"
STEERING = set("\x1b\x07\x9b\x00\u202e\u200b")
VALUE = digest(b"mine")


def nested(levels, inner=0):
    for _ in range(levels):
        inner = [inner]
    return inner


ATTACKS = {
    "null": None,
    "true": True,
    "number": 7,
    "negative": -1,
    "fraction": 0.5,
    "huge": 10**400,
    "nan": float("nan"),
    "infinite": float("inf"),
    "text": "x",
    "long text": "x" * (1 << 16),
    "escapes": ESCAPES,
    "list": [],
    "escapes in a list": [ESCAPES],
    "object": {},
    "escapes in an object": {ESCAPES: ESCAPES},
    "many": [0] * 20_000,
    "deep list": nested(400),
    "deep object": {"a": nested(400)},
}
ERROR = {"type": "E", "message": "m", "frames": [["f", 1, "g", "s"]], "traceback": ["t"]}
BODIES = {
    "born": {"generation": 1, "info": {}},
    "accepted": {},
    "planned": {"run": [], "keep": [], "restart": None},
    "shown": {"mimes": ["text/plain"], "to": None, "encoding": None},
    "synced": {"cells": {}, "kept": [], "names": {}, "gpus": [], "notes": []},
    "job": {"job": {"id": "j"}},
    "progress": {"job": "j"},
    "chunk": {"job": "j"},
    "finished": {"job": "j", "status": "COMPLETED", "problem": None, "exception": ERROR,
                 "stop": False, "metrics": {}},
    "done": {},
    "failed": {"phase": "step", "error": ERROR, "cell": None},
    "exited": {"generation": 1, "code": 1, "signal": None, "peak_bytes": 1, "reason": "r"},
}  # fmt: skip
CELL = {"id": "c", "kind": "setup", "name": "n", "label": "cell 1", "source": "x = 1"}
CAPTURE = {"name": "y", "kind": "literal", "text": "y = 1", "label": "cell 2", "lines": [[1, 1]],
           "now": ["a"], "later": ["b"], "imports": ["c"], "future": [], "files": ["data.bin"],
           "bytecode": "", "asks": [["numpy", "y", "2.0"]], "use": "u"}  # fmt: skip
PROGRAM = {
    "text": "x = 1\ny = 1\n",
    "origins": [[1, 1, "c", 2], [2, 1, None, 1]],
    "cells": [CELL],
    "files": {"data.bin": [VALUE, 4]},
    "pieces": {VALUE: [[VALUE, 4]]},
    "env": {"A": "1"},
    "handler": "h",
    "python": "3.11",
    "requirements": ["numpy"],
    "captures": [CAPTURE],
    "labels": {"2": "cell 2"},
}
WELCOME = messages.Welcome("w", 1, 0, 0, 0, True, PROGRAM, [], {"python": "3.11.7"})
SPECIMENS = [
    WELCOME,
    messages.Refused("driver", "somebody else drives", "r1"),
    messages.Ping(1),
    messages.Pong(7, "busy", 5.0, True, 7.0),
    messages.Need("r1", {VALUE: [0]}),
    messages.Output("out", 0, b"x"),
    messages.Trimmed(0),
    messages.Notice("r1", "the disk is full"),
    *(messages.Event(1, 0.0, 0, 0, "r1", kind, body) for kind, body in BODIES.items()),
]
REQUESTS = [
    messages.Hello("me"),
    messages.Submit("r1", PROGRAM, "c", "c", [{"id": "j", "input": 1}], None, 5.0),
    messages.Blob(VALUE, 4, 0, b"mine"),
    messages.Cancel("r1"),
    messages.Ping(1),
    messages.Pong(1),
    messages.Replay("r1"),
    messages.SetEnv("r2", {"A": "1"}),
    messages.Restart("r3"),
    messages.Stop("r4"),
]


def test_every_message_has_a_specimen():
    for table, specimens in ((CLIENT, SPECIMENS), (AGENT, REQUESTS)):
        received = {*table[State.GREETING], *table[State.ATTACHED]}
        assert {type(each).__name__ for each in specimens} == received
    assert {each.kind for each in SPECIMENS if isinstance(each, messages.Event)} == {
        *messages.EVENTS
    }


def heads(message):
    """Yield the message's head with each of its fields, and of its body's, attacked in turn."""
    head = {"type": type(message).__name__}
    for item in messages._FIELDS[type(message)]:
        if "bytes" not in item.annotation:
            head[item.name] = getattr(message, item.name)
    for name in head:
        yield from (
            ({**head, name: value}, f"{name}: {attack}") for attack, value in ATTACKS.items()
        )
    for place in ("body", "program"):
        yield from (
            ({**head, place: changed}, f"{place}.{what}")
            for changed, what in inside(head.get(place) or {})
        )


def inside(value):
    """Yield the object with each value in it, however deep, attacked in turn."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:

        def put(new, key=key):
            if isinstance(value, dict):
                return {**value, key: new}
            return [*value[:key], new, *value[key + 1 :]]

        for attack, new in ATTACKS.items():
            yield put(new), f"{key}: {attack}"
        if isinstance(item, (dict, list)):
            yield from ((put(new), f"{key}.{what}") for new, what in inside(item))


def frame(head, *buffers):
    """Return a frame that no honest end would make."""
    text = json.dumps(head).encode("utf-8", "surrogatepass")
    sizes = struct.pack(f">{len(buffers)}I", *map(len, buffers))
    return struct.pack(">4sIH", b"rpn1", len(text), len(buffers)) + sizes + text + b"".join(buffers)


class Said:
    """A stream on which an agent says this, and hangs up."""

    def __init__(self, *frames):
        self._frames = [*frames, b""]

    def receive(self):
        return self._frames.pop(0)


class Client:
    """What a client makes of what it hears, without threads."""

    def __init__(self):
        self.dialogue, self.info = Dialogue("test"), {}
        self.opened = OpenRequest(messages.Submit("r1"), {VALUE: b"mine"})
        self.run = Run(self, "r1", self.opened, None)
        self.dialogue.add("r1", self.opened)
        self.seen = []

    def forget(self, request):
        self.dialogue.drop(request)

    def hear(self, *frames):
        for message in Line(Said(*frames), lambda: None).incoming:
            self._take(message)

    def _take(self, message):
        if isinstance(message, (messages.Welcome, messages.Refused)) and not self.dialogue.info:
            self.dialogue.meet(message)
            self.seen += [message.info, message.requests, message.warm, message.driver]
            if message.program is not None:
                self.adopt(Program.from_wire(message.program))
        elif isinstance(message, messages.Need):
            Upload(message.missing, self.opened, None, None, None)._check()
        elif not isinstance(message, messages.Ping):
            self.dialogue.hear(message, 1)
        for news, _ in [*self.opened.inbox._news]:
            if isinstance(news, Exception):
                raise news
            self.seen.append(news)
            draw(news)
        self.opened.inbox._news.clear()

    def adopt(self, program):
        """What is told and looked up of the cells that a worker has from before."""
        for cell in program.cells:
            self.seen += [cell.title, cell.id]
        for capture in program.captures:
            self.seen += [capture.label, capture.places]
        self.seen += [str(program.where(line)) for line in range(4)]
        assert all(".." not in path and path[0] != "/" for path in program.files)
        assert len(program.without_blobs().to_wire()["captures"]) == len(program.captures)


def draw(news):
    """As a page or a terminal would show it."""
    bundles = []
    if isinstance(news, updates.Shown):
        bundles = [display.shown_bundle(news.mimes)]
    if isinstance(news, updates.Finished):
        bundles = display.result_bundles(news.result)
    if isinstance(news, updates.Streamed | updates.Progressed):
        bundles = display.value_bundles(news.value)
    for bundle in bundles:
        assert "<script" not in bundle.get("text/html", "")
        assert not STEERING & set(bundle.get("text/plain", ""))


def texts(value):
    if isinstance(value, str):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for item in dataclasses.fields(value):
            yield from texts(getattr(value, item.name))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts(key)
            yield from texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from texts(item)


@pytest.mark.parametrize(
    "message", SPECIMENS, ids=[getattr(each, "kind", type(each).__name__) for each in SPECIMENS]
)
def test_whatever_a_field_holds_the_client_takes_it_as_data_or_refuses_it(message):
    buffers = {"Output": [b"x"]}.get(type(message).__name__, [b'{"output": 1}'])
    buffers = [] if isinstance(message, messages.Welcome) else buffers
    before = [] if isinstance(message, messages.Welcome) else [messages.encode(WELCOME)]
    for head, what in heads(message):
        client = Client()
        try:
            client.hear(*before, frame(head, *buffers))
        except RpnbError:
            continue
        except Exception as error:
            raise AssertionError(what) from error
        for text in texts(client.seen):
            assert not STEERING & set(text), what


BUFFERS = {
    "none": [],
    "no JSON": [b"{"],
    "no text": [b"\xff\xfe"],
    "deep": [b"[" * 600 + b"]" * 600],
    "too deep": [b"[" * 100_000],
    "a number of 5000 digits": [b'{"output": ' + b"9" * 5000 + b"}"],
    "no number": [b'{"output": NaN}'],
    "escapes": [json.dumps({"output": ESCAPES}).encode()],
    "raw escapes": [ESCAPES.encode()],
    "many": [b"{}"] * 1000,
}


@pytest.mark.parametrize("kind", ["shown", "progress", "chunk", "finished"])
@pytest.mark.parametrize("buffers", BUFFERS.values(), ids=BUFFERS)
def test_whatever_a_buffer_holds_is_drawn_or_refused(kind, buffers):
    client = Client()
    head = {"type": "Event", "seq": 1, "at": 0.0, "out": 0, "err": 0, "request": "r1"}
    started = frame({**head, "kind": "job", "body": BODIES["job"]})
    said = frame({**head, "seq": 2, "kind": kind, "body": BODIES[kind]}, *buffers)
    try:
        client.hear(messages.encode(WELCOME), started, said)
    except RpnbError:
        return
    for news in client.seen:
        if isinstance(news, updates.Finished):
            assert news.result.to_dict()["id"] == "j"


@pytest.mark.parametrize("message", REQUESTS, ids=[type(each).__name__ for each in REQUESTS])
def test_whatever_a_field_holds_the_agent_refuses_it_or_goes_on(message):
    wire = Wire()
    try:
        for head, what in heads(message):
            buffers = [b"mine"] if isinstance(message, messages.Blob) else []
            hello = b"" if isinstance(message, messages.Hello) else messages.encode(HELLO)
            stream = wire.accept()
            stream.setblocking(True)
            stream.settimeout(5)
            attack(wire, stream, hello + frame(head, *buffers), what)
            stream.close()
        if isinstance(message, messages.Stop):
            assert wire.relay[1].is_stopped, "one of them was a stop"
            return
        wire.main.connect()
        for _ in range(20):
            wire.go_on(1, 1 << 20)
        wire.main.ask(1)
        for _ in range(3):
            wire.go_on(1, 1 << 20)
        assert wire.main.dialogue.answers.get_nowait().number == 1
    finally:
        wire._close()


HELLO = messages.Hello("somebody", session="s")


def attack(wire, stream, data, what):
    view = memoryview(data)
    try:
        while view:
            stream.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                view = view[stream.send(view) :]
            wire.agent_turns()
        wire.agent_turns()
    except (ProtocolError, ConnectionError):
        return
    except Exception as error:
        raise AssertionError(what) from error
