"""Values on their way in: any order, cuts, wrong bytes, full disks."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpnb.agent.uploads import Uploads
from rpnb.errors import ProtocolError
from rpnb.protocol.blobs import BLOCK_BYTES, blocks, digest
from rpnb.protocol.messages import Blob, Need, Refused, Submit
from tests.agent.agents import Peer, program

BIG = random.Random(1).randbytes(2 * BLOCK_BYTES + 5)


def blobs(data, wanted=None):
    wanted = range(-(-len(data) // BLOCK_BYTES) or 1) if wanted is None else wanted
    return [Blob(digest(data), len(data), n, bytes(part)) for n, part in blocks(data, wanted)]


@pytest.fixture
def uploads(tmp_path):
    uploads = Uploads(tmp_path)
    yield uploads
    uploads.close()


@settings(max_examples=6)
@given(order=st.permutations([0, 1, 2]))
def test_blocks_in_any_order_make_the_blob(tmp_path_factory, order):
    folder = tmp_path_factory.mktemp("values")
    taken = [
        Uploads.take(uploads, blob) for uploads in [Uploads(folder)] for blob in blobs(BIG, order)
    ]
    assert taken == [False, False, True]
    assert (folder / digest(BIG)).read_bytes() == BIG
    assert [path.name for path in folder.iterdir()] == [digest(BIG)]


def test_empty_blob_has_one_block(uploads, tmp_path):
    assert uploads.take(blobs(b"")[0])
    assert (tmp_path / digest(b"")).read_bytes() == b""


def test_missing_names_the_blocks_that_did_not_come(uploads):
    files = {"data/a": [digest(BIG), len(BIG)]}
    assert uploads.missing(files) == {digest(BIG): [0, 1, 2]}
    uploads.take(blobs(BIG)[1])
    assert uploads.missing(files) == {digest(BIG): [0, 2]}
    for blob in blobs(BIG, [0, 2]):
        uploads.take(blob)
    assert uploads.missing(files) == {}


def test_block_sent_twice_does_no_harm(uploads):
    first = blobs(BIG)[0]
    uploads.take(first)
    assert [uploads.take(blob) for blob in [first, *blobs(BIG)[1:]]] == [False, False, True]
    assert uploads.take(first)


def test_wrong_bytes_are_refused_and_forgotten(uploads, tmp_path):
    wrong = Blob(digest(b"right"), 5, 0, b"wrong")
    with pytest.raises(ProtocolError, match="expected the bytes of"):
        uploads.take(wrong)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "blob",
    [
        Blob("../" + "0" * 61, 1, 0, b"x"),
        Blob("0" * 64, 5, 1, b""),
        Blob("0" * 64, 5, 0, b"four"),
        Blob("0" * 64, 5, -1, b"fives"),
    ],
)
def test_what_is_no_block_is_refused(uploads, blob):
    with pytest.raises(ProtocolError):
        uploads.take(blob)


@pytest.mark.parametrize("entry", [["short", 1], ["0" * 64, "1"]])
def test_missing_refuses_what_is_no_file(uploads, entry):
    with pytest.raises(ProtocolError):
        uploads.missing({"data/a": entry})


def test_submit_goes_on_when_a_bulk_client_has_brought_the_blob(agent, peer):
    files = {"data/a": [digest(BIG), len(BIG)]}
    peer.send(Submit("r", program("print('here')", files)))
    need = peer.wait(lambda m: isinstance(m, Need))
    bulk = Peer(agent, "me", "bulk")
    for blob in blobs(BIG, need.missing[digest(BIG)]):
        bulk.send(blob)
    assert peer.ended("r").kind == "done"
    assert (agent.directory.values / digest(BIG)).stat().st_size == len(BIG)


def test_upload_cut_in_the_middle_goes_on_there(agent, peer):
    files = {"data/a": [digest(BIG), len(BIG)]}
    peer.send(Submit("r", program("1", files)))
    bulk = Peer(agent, "me", "bulk")
    bulk.send(blobs(BIG)[0])
    bulk.close()
    again = Peer(agent, "me")
    again.send(Submit("r", program("1", files)))
    need = again.wait(lambda m: isinstance(m, Need))
    for blob in blobs(BIG, need.missing[digest(BIG)]):
        again.send(blob)
    assert again.ended("r").kind == "done"


def test_wrong_bytes_end_the_request_that_waits(peer):
    peer.send(Submit("r", program("1", {"data/a": [digest(b"right"), 5]})))
    peer.wait(lambda m: isinstance(m, Need))
    peer.send(Blob(digest(b"right"), 5, 0, b"wrong"))
    refused = peer.wait(lambda m: isinstance(m, Refused))
    assert (refused.request, refused.reason) == ("r", "ProtocolError")
    assert peer.run("next", "1").kind == "done"
