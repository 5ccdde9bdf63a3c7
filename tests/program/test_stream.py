"""Large values: one plain pickle in pieces, its buffers neither copied nor sent twice."""

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from rpnb.program import values
from rpnb.program.build import build
from rpnb.program.cells import Cell
from rpnb.program.content import Content
from rpnb.program.names import Names
from rpnb.protocol.blobs import BLOCK_BYTES, blobs_of, cut, layouts, whole_digest

RANDOM = np.random.default_rng(5)
BIG = RANDOM.random(100_000)  # 800 kB
SHARED = ["shared"]


def _read_only(array):
    array.flags.writeable = False
    return array


def dumped(value):
    """The bytes of a value's pickle, put together again."""
    content = values.dump("v", value, {}, limit=None).content
    assert content.size == sum(len(content.blobs[name]) for name, _ in content.layout)
    return b"".join(content.blobs[name] for name, _ in content.layout)


ARRAYS = {
    "large": BIG,
    "small": np.arange(5),
    "empty": np.zeros((0, 3)),
    "of no dimension": np.array(3.5),
    "columns first": np.asfortranarray(BIG.reshape(100, 1000)),
    "not in one piece": BIG.reshape(100, 1000)[::2, ::3],
    "turned round": BIG[::-1],
    "read only": _read_only(BIG.copy()),
    "objects": np.array([{"a": 1}, None, "x"], dtype=object),
    "structured": np.array([(1, 2.5, b"ab")] * 9000, dtype=[("n", "i4"), ("x", "f8"), ("s", "S4")]),
    "text": np.array(["ä", "bc"] * 20_000),
    "moments": np.arange("2026-01-01", "2026-06-01", dtype="datetime64[s]")[:100_000],
    "other byte order": BIG.astype(">f4"),
    "masked": np.ma.masked_less(BIG, 0.5),
    "more than a block": np.arange(3 * BLOCK_BYTES // 8 + 7),
}


@pytest.mark.parametrize("loads", [pickle.loads, pickle._loads], ids=["C", "Python"])
@pytest.mark.parametrize("case", ARRAYS)
def test_array_is_the_same_to_a_plain_pickle_load(case, loads):
    array = ARRAYS[case]
    found = loads(dumped(array))
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.flags.writeable == array.flags.writeable
    assert pickle.dumps(found.tolist()) == pickle.dumps(array.tolist())


def test_what_stands_between_and_behind_buffers_is_the_same():
    value = [SHARED, {"a": BIG, "b": [SHARED, BIG[:50_000].copy()]}, SHARED, "end" * 50_000, BIG]
    found = pickle.loads(dumped(value))
    assert found[0] is found[2] is found[1]["b"][0]
    assert found[1]["a"] is found[4]
    assert (found[3], found[1]["b"][1].tolist()) == (value[3], value[1]["b"][1].tolist())


def test_array_beside_much_else_is_the_same():
    value = {"names": [f"name {n}" for n in range(400_000)], "w": BIG}
    found = pickle.loads(dumped(value))
    assert (found["names"], found["w"].tolist()) == (value["names"], BIG.tolist())


def test_frame_is_the_same():
    frame = pd.DataFrame({"a": BIG, "b": np.arange(len(BIG)), "c": ["x"] * len(BIG)})
    pd.testing.assert_frame_equal(pickle.loads(dumped(frame)), frame)


def test_large_array_is_not_copied():
    array = RANDOM.random(4_000_000)  # 32 MB
    tracemalloc.start()
    content = values.dump("v", array, {}, limit=None).content
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert content.size > array.nbytes
    assert peak < 1_000_000


def test_value_over_the_limit_is_not_kept_while_it_is_measured():
    value = {"a": RANDOM.random(4_000_000), "b": [bytes(1_000_000) for _ in range(40)]}
    tracemalloc.start()
    with pytest.raises(values.CannotCapture, match="`v` is 72 MB"):
        values.dump("v", value, {}, limit=1 << 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000


def sent_again(before, after):
    """How many bytes of the second are not among the first's blobs."""
    old, new = (values.dump("v", value, {}, limit=None).content for value in (before, after))
    return sum(size for name, size in new.layout if name not in old.blobs)


def test_one_changed_number_sends_one_block():
    before = RANDOM.random(3_000_000)  # 24 MB
    after = before.copy()
    after[1_500_000] = 0
    assert sent_again(before, after) == BLOCK_BYTES


@pytest.mark.parametrize("change", ["another value", "another length", "another name"])
def test_one_changed_array_of_ten_is_sent_alone(change):
    before = {f"layer {n}": RANDOM.random(100_000) for n in range(10)}
    after = dict(before)
    if change == "another value":
        after["layer 3"] = after["layer 3"] + 1
    elif change == "another length":
        after["layer 3"] = np.append(after["layer 3"], 1.0)
    else:
        after = {key.replace("layer 3", "a longer name"): each for key, each in after.items()}
    expected = 0 if change == "another name" else after["layer 3"].nbytes
    assert expected <= sent_again(before, after) <= expected + 10_000


def program(**found):
    cell = Cell("s", "setup", "", "cell 1", f"x = [{', '.join(found)}]", 2)
    return build([cell], Names(found))


def test_change_in_place_is_seen_by_the_next_build():
    array = RANDOM.random(1_000_000)
    before = program(array=array)
    array[500_000] = 7
    after = program(array=array)
    assert before.text != after.text
    assert len(set(after.blobs) - set(before.blobs)) == 1


def test_program_says_of_which_blobs_its_files_are_made():
    made = program(large=RANDOM.random(1_000_000), small=list(range(5000)))
    wire = made.to_wire()
    assert set(blobs_of(wire)) == set(made.blobs)
    for path, (digest, size) in made.files.items():
        layout = layouts(wire)[path]
        assert whole_digest(layout) == digest
        assert sum(each for _, each in layout) == size == len(made.content(path))
    assert type(made).from_wire(wire) == made


def test_program_from_before_keeps_what_its_values_are_made_of():
    array = RANDOM.random(1_000_000)
    before = program(array=array)
    cell = Cell("s", "setup", "", "cell 1", "x = [array]", 2)
    after = build([cell], Names({}), base=type(before).from_wire(before.to_wire()))
    assert (after.files, after.pieces) == (before.files, before.pieces)
    assert after.content(next(iter(after.files))) is None


@pytest.mark.parametrize("sizes", [[], [0], [5], [70_000] * 3, [9_000_000, 3, 5], [3] * 9])
def test_pieces_are_the_segments_in_blocks(sizes):
    segments = [bytes([n % 251]) * size for n, size in enumerate(sizes)]
    pieces = cut(segments)
    assert b"".join(pieces) == b"".join(segments)
    assert all(0 < len(piece) <= BLOCK_BYTES for piece in pieces) or not any(sizes)


def test_small_content_is_named_as_one_blob():
    assert Content.of([b"ab", b"c"]).digest == Content.of_bytes(b"abc").digest
