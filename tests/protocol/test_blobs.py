import hashlib

from hypothesis import given
from hypothesis import strategies as st

from rpnb.protocol import blobs


@given(st.integers(0, 3), st.integers(-1, 1))
def test_blocks_rebuild_the_blob(whole, rest):
    data = bytes(max(0, whole * blobs.BLOCK_BYTES + rest))
    count = blobs.block_count(len(data))
    pieces = dict(blobs.blocks(data, range(count)))
    assert b"".join(pieces[i] for i in range(count)) == data
    assert [len(pieces[i]) for i in range(count)] == [
        blobs.block_size(len(data), i) for i in range(count)
    ]


def test_empty_blob_has_one_empty_block():
    assert [bytes(block) for _, block in blobs.blocks(b"", range(blobs.block_count(0)))] == [b""]


def test_digest_is_sha256_and_safe_as_a_file_name():
    name = blobs.digest(b"weights")
    assert name == hashlib.sha256(b"weights").hexdigest()
    assert blobs.is_digest(name)


def test_path_is_no_digest():
    assert not blobs.is_digest("../" * 20 + "etc/")
    assert not blobs.is_digest("A" * 64)
