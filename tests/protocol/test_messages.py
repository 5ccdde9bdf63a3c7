import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpnb.errors import ProtocolError
from rpnb.protocol import messages
from rpnb.protocol.frames import FrameReader
from rpnb.protocol.frames import encode as encode_frame

_text = st.text(max_size=20)
_object = st.dictionaries(_text, st.integers() | _text, max_size=3)
# One strategy for each annotation that messages use.
VALUES = {
    "str": _text,
    "int": st.integers(),
    "float": st.floats(allow_nan=False),
    "bool": st.booleans(),
    "bytes": st.binary(max_size=50),
    "str | None": st.none() | _text,
    "float | None": st.none() | st.floats(allow_nan=False),
    "list[Any]": st.lists(_object, max_size=3),
    "dict[str, Any]": _object,
    "dict[str, Any] | None": st.none() | _object,
    "tuple[bytes, ...]": st.lists(st.binary(max_size=50), max_size=3).map(tuple),
}
CLASSES = [cls for cls in messages.Message.__args__ if cls is not messages.Event]


def received(data):
    return messages.decode(next(FrameReader().receive_data(data)))


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
@given(data=st.data())
def test_message_survives_the_wire(cls, data):
    values = {f.name: data.draw(VALUES[f.type]) for f in dataclasses.fields(cls)}
    message = cls(**values)
    assert received(messages.encode(message)) == message


@pytest.mark.parametrize("kind", messages.EVENTS)
def test_event_of_each_kind_survives_the_wire(kind):
    body = dict.fromkeys(messages.EVENTS[kind], "x")
    event = messages.Event(3, 1.5, 10, 20, "r1", kind, body, (b"a", b""))
    assert received(messages.encode(event)) == event


@pytest.mark.parametrize(
    ("head", "complaint"),
    [
        ({}, "expected a message"),
        ({"type": "Nonsense"}, "expected a message"),
        ({"type": ["Ping"]}, "expected a message"),
        ({"type": "Ping"}, "Ping.number, got nothing"),
        ({"type": "Ping", "number": "1"}, "Ping.number to be int, got str"),
        ({"type": "Ping", "number": True}, "Ping.number to be int, got bool"),
        ({"type": "Blob", "digest": "d", "size": 1, "index": 0}, "Blob.data to be bytes"),
        (
            {"type": "Event", "seq": 1, "at": 0.0, "out": 0, "err": 0, "request": None}
            | {"kind": "party", "body": {}},
            "known kind of event",
        ),
        (
            {"type": "Event", "seq": 1, "at": 0.0, "out": 0, "err": 0, "request": None}
            | {"kind": "progress", "body": {}},
            "expected progress.job",
        ),
    ],
)
def test_malformed_message_is_refused(head, complaint):
    with pytest.raises(ProtocolError, match=complaint):
        received(encode_frame(head))


def test_message_from_a_newer_peer_with_more_fields_is_read():
    assert received(encode_frame({"type": "Ping", "number": 1, "colour": "red"})).number == 1
