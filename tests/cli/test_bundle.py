"""The files between a fresh kernel and the command line."""

import hashlib

import pytest

from rpnb import errors
from rpnb.cli.bundle import Bundle, Request, write_error
from rpnb.program.cells import Cell
from rpnb.program.steps import Program


def test_request_comes_back_as_it_was(tmp_path):
    cell = Cell("c1", "setup", "model", "cell 2", "m = 1", 2)
    request = Request(
        (cell,), {"A": "1"}, "/n", ("{}",), ("big",), (("cell 1", "a = 1"),), "cell 3"
    )
    request.write(tmp_path)
    assert Request.read(tmp_path) == request


def test_bundle_carries_pickles_as_bytes(tmp_path):
    digest = hashlib.sha256(b"not a pickle").hexdigest()
    program = Program("x\n", files={"data/x.pkl": (digest, 12)}, blobs={digest: b"not a pickle"})
    Bundle(program, ({"a": 1},), {"t": [1]}).write(tmp_path)
    back = Bundle.read(tmp_path)
    assert back == Bundle(program, ({"a": 1},), {"t": [1]})
    assert back.program.blobs == program.blobs


def test_bundle_raises_what_was_raised_in_the_kernel(tmp_path):
    write_error(errors.CannotCapture("cfg.lock is a lock", name="cfg"), tmp_path)
    with pytest.raises(errors.CannotCapture, match="cfg.lock is a lock"):
        Bundle.read(tmp_path)
