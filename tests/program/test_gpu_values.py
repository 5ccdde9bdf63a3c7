"""Tensors on this machine's GPU travel as copies in memory (a stand-in: no GPU is needed)."""

import pickle
import sys
import types

import pytest

from rpnb.program.build import build
from rpnb.program.cells import Cell
from rpnb.program.names import Names


def _tensor_from(data, needs_grad):
    made = sys.modules["torch"].Tensor(data, "cpu")
    made.requires_grad = needs_grad
    return made


@pytest.fixture
def tensor(monkeypatch):
    """A class that answers what torch's answers, and refuses to leave the GPU by itself."""

    class Tensor:
        __module__ = "torch"

        def __init__(self, data, device="cuda"):
            self.data, self.requires_grad = data, False
            self.device = types.SimpleNamespace(type=device)

        def detach(self):
            return Tensor(self.data, self.device.type)

        def cpu(self):
            return Tensor(self.data, "cpu")

        def requires_grad_(self, needed):
            self.requires_grad = needed

        def __reduce_ex__(self, protocol):
            assert self.device.type == "cpu", "this machine's GPU is not the target's"
            return _tensor_from, (self.data, self.requires_grad)

    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(Tensor=Tensor))
    return Tensor


def _built(value):
    source = "def handler(job):\n    return len(weights)"
    return build([Cell("h", "handler", "", "cell 2", source)], Names({"weights": value}))


@pytest.mark.parametrize("device", ["cuda", "mps", "xpu"])
def test_tensor_inside_a_value_travels_as_its_copy_in_memory(tensor, device):
    held = tensor([1, 2], device)
    held.requires_grad = True
    program = _built({"layer": [held], "name": "a"})
    [path] = [path for path in program.files if path.endswith(".pkl")]
    [found] = pickle.loads(program.content(path))["layer"]
    assert (found.data, found.device.type, found.requires_grad) == ([1, 2], "cpu", True)


def test_copy_is_noted(tensor):
    assert "`weights` was on this machine's GPU: its copy in memory travels" in (
        _built([tensor([1])]).notes
    )


def test_tensor_in_memory_is_not_noted(tensor):
    assert not _built([tensor([1], "cpu")]).notes
