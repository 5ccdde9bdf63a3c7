import contextlib
import json
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpnb.errors import ProtocolError
from rpnb.protocol import frames as bounds
from rpnb.protocol import messages
from rpnb.protocol.connection import AGENT, CLIENT, Connection
from rpnb.protocol.frames import MAGIC, MAX_BUFFERS, MAX_HEAD, Frame, FrameReader, encode

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
heads = st.dictionaries(st.text(), json_values, max_size=4)
buffer_lists = st.lists(st.binary(max_size=200), max_size=4)


@given(st.lists(st.tuples(heads, buffer_lists), max_size=4), st.data())
def test_frames_split_anywhere_arrive_whole(frames, data):
    """However the bytes are cut, the same frames come out, in order."""
    stream = b"".join(encode(head, buffers) for head, buffers in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    reader = FrameReader()
    received = [frame for piece in pieces for frame in reader.receive_data(piece)]
    assert received == [Frame(head, tuple(buffers)) for head, buffers in frames]


def test_frame_with_lone_surrogate_survives():
    head = {"text": "\ud800"}
    assert next(FrameReader().receive_data(encode(head))).head == head


@given(st.binary(min_size=10, max_size=40).filter(lambda data: not data.startswith(MAGIC)))
def test_foreign_bytes_are_refused(data):
    with pytest.raises(ProtocolError, match="expected a frame"):
        list(FrameReader().receive_data(data))


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        (struct.pack(">4sIH", MAGIC, MAX_HEAD + 1, 0), "head of at most"),
        (struct.pack(">4sIHI", MAGIC, 2, 1, MAX_BUFFERS + 1), "of buffers"),
    ],
)
def test_announced_size_above_limit_is_refused_before_it_is_kept(header, complaint):
    with pytest.raises(ProtocolError, match=complaint):
        list(FrameReader().receive_data(header))


def test_frame_above_limit_is_not_sent():
    with pytest.raises(ProtocolError, match="expected at most"):
        encode({}, [bytes(MAX_BUFFERS + 1)])


@pytest.mark.parametrize("text", [b"[1]", b"{", b"\xff", b'"a"', b"[" * 100_000])
def test_head_that_is_no_object_is_refused(text):
    with pytest.raises(ProtocolError, match="expected a JSON"):
        list(FrameReader().receive_data(struct.pack(">4sIH", MAGIC, len(text), 0) + text))


@given(st.lists(st.tuples(heads, buffer_lists), min_size=1, max_size=3), st.data())
def test_corrupted_frames_raise_nothing_but_protocol_errors(frames, data):
    stream = bytearray(b"".join(encode(head, buffers) for head, buffers in frames))
    for _ in range(data.draw(st.integers(1, 4))):
        stream[data.draw(st.integers(0, len(stream) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ProtocolError):
        for start in range(0, len(stream), 7):
            for frame in FrameReader().receive_data(stream[start:]):
                messages.decode(frame)


def peak_of(act):
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_announced_lengths_take_no_memory_before_their_bytes_come():
    header = struct.pack(">4sIH", MAGIC, MAX_HEAD, 65_535) + struct.pack(">65535I", *[1] * 65_535)
    assert peak_of(lambda: list(FrameReader().receive_data(header + bytes(1 << 16)))) < 8 << 20


def test_large_frame_takes_twice_its_size_and_little_more():
    frame, reader = encode({}, [bytes(8 << 20)]), FrameReader()

    def receive():
        for start in range(0, len(frame), 1 << 16):
            for each in reader.receive_data(memoryview(frame)[start : start + (1 << 16)]):
                assert len(each.buffers[0]) == 8 << 20

    assert peak_of(receive) < 2.5 * len(frame)


# One 32nd of the real ones, so that a head of the worst kind takes no gigabyte here.
SMALLER = {"MAX_HEAD": 1 << 20, "MAX_BUFFERS": 8 << 20}
FEW = bounds.MAX_VALUES >> 5
WIDE = "\U0001f600"


def nested(count):
    deep = "".join(f'{{"{WIDE}{at}":' for at in range(90)) + "0" + "}" * 90
    return ",".join([deep] * (count // 91))


# What a head may be made of, each a list of about so many values.
DENSE = {
    "objects": lambda count: ",".join(["{}"] * (count // 2)),
    "lists": lambda count: ",".join(["[]"] * (count // 2)),
    "lists in lists": lambda count: ",".join(["[[]]"] * (count // 3)),
    "numbers": lambda count: ",".join(["1000"] * count),
    "strings": lambda count: ",".join(['"ab"'] * count),
    "wide strings": lambda count: ",".join(f'"{WIDE}{at}"' for at in range(count)),
    "keys": lambda count: ",".join(f'{{"{WIDE}{at}":"{WIDE}"}}' for at in range(count // 2)),
    "deep": nested,
}


def framed(text, *buffers):
    sizes = struct.pack(f">{len(buffers)}I", *map(len, buffers))
    return struct.pack(">4sIH", MAGIC, len(text), len(buffers)) + sizes + text + b"".join(buffers)


def filled(items):
    """Return a head of the largest size that holds the items, and a text that makes it wide."""
    head = f'{{"a":[{items}],"b":"{WIDE}'.encode()
    return head + b"x" * (SMALLER["MAX_HEAD"] - len(head) - 2) + b'"}'


@pytest.mark.parametrize("shape", DENSE)
def test_largest_frame_takes_three_times_the_limits_whatever_its_head_is_made_of(
    shape, monkeypatch
):
    for name, value in SMALLER.items():
        monkeypatch.setattr(bounds, name, value)
    data = framed(filled(DENSE[shape](FEW - 8)), bytes(8 << 20))
    reader = FrameReader(FEW)
    assert peak_of(lambda: list(reader.receive_data(data))) < 3 * sum(SMALLER.values())


@pytest.mark.parametrize("shape", DENSE)
def test_head_of_more_values_is_refused_before_they_are_made(shape):
    data = framed(b'{"a":[%s]}' % DENSE[shape](20 * FEW).encode())

    def receive():
        with pytest.raises(ProtocolError, match=f"at most {FEW} values"):
            list(FrameReader(FEW).receive_data(data))

    assert peak_of(receive) < 5 * len(data)


@given(json_values)
def test_no_head_holds_more_values_than_are_counted(value):
    def values(each):
        inner = each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        return 1 + sum(map(values, inner))

    text = json.dumps({"a": value}, ensure_ascii=False).encode("utf-8", "surrogatepass")
    counted = next(most for most in range(len(text)) if not bounds._has_more(text, most))
    assert values({"a": value}) <= counted + 1


def test_client_refuses_a_welcome_of_countless_values_and_takes_any_honest_one():
    """Lists and quotes in a person's text are no values; nor are those of a large result."""
    source = "x = [{'a': [1, 2, 3]}, \"\\\\\"]\n" * 4000
    cells = [{"id": str(at), "source": source, "text": source} for at in range(100)]
    pieces = {"0" * 64: [["0" * 64, 1 << 22]] * 50_000}
    program = {"text": source, "cells": cells, "pieces": pieces}
    welcome = messages.Welcome("w", 1, 0, 0, 0, True, program, [], {})
    event = messages.Event(1, 0.0, 0, 0, "r", "finished", dict.fromkeys(
        messages.EVENTS["finished"]), (b"[%s]" % b",".join([b"1"] * 4_000_000),))  # fmt: skip
    client = Connection(CLIENT)
    assert list(client.receive_data(messages.encode(welcome))) == [welcome]
    assert list(client.receive_data(messages.encode(event))) == [event]
    bomb = messages.Welcome("w", 1, 0, 0, 0, True, None, [[]] * bounds.MAX_VALUES, {})
    with pytest.raises(ProtocolError, match="values in a head"):
        list(Connection(CLIENT).receive_data(messages.encode(bomb)))


def test_agent_takes_jobs_of_countless_values():
    submit = messages.Submit("r", jobs=[{"id": "j", "input": [1] * (2 * bounds.MAX_VALUES)}])
    agent = Connection(AGENT)
    hello = messages.encode(messages.Hello("c"))
    assert list(agent.receive_data(hello + messages.encode(submit)))[1] == submit
