"""A handler on a real CUDA device: the model stays in its memory, and old ones leave it."""

import shutil
import sys

import pytest

import rpnb
from tests.behaviour.cells import program, run

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="no NVIDIA GPU on this machine"),
]
MODEL = "import torch\n\nmodel = torch.zeros({megabytes}, 1 << 18, device='cuda')"
HANDLER = """
def handler(job):
    return [model.data_ptr(), torch.cuda.memory_allocated() >> 20]
"""


@pytest.fixture
def session(tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="PyTorch is not installed in the tests' Python")
    monkeypatch.setenv("RPNB_HOME", str(tmp_path / "rpnb"))
    session = rpnb.connect("local", name="gpu", python=sys.executable)
    yield session
    session.stop()


def test_gpu_is_named_when_a_session_begins(session):
    assert session.info["gpus"][0]["total_bytes"] > 1 << 30


def test_edited_handler_finds_the_model_where_it_was(session):
    setup = MODEL.format(megabytes=512)
    place, _ = run(session, program(setup, handler=HANDLER)).result.output
    edited = HANDLER.replace("return", "x = 1\n    return")
    assert run(session, program(setup, handler=edited)).result.output[0] == place


def test_replaced_model_leaves_the_memory_before_the_new_one_comes(session):
    run(session, program(MODEL.format(megabytes=512), handler=HANDLER))
    peak = HANDLER.replace("memory_allocated", "max_memory_allocated")
    _, megabytes = run(session, program(MODEL.format(megabytes=600), handler=peak)).result.output
    assert megabytes < 1000, "both models were in memory at once"
