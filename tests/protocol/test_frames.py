import contextlib
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpnb.errors import ProtocolError
from rpnb.protocol import messages
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
