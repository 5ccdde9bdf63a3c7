"""Torch's settings, on the real torch where there is one, else on what looks like it."""

import sys
import types

import pytest

from rpnb.agent import worker_torch
from tests.real.libraries import need

CHANGES = {
    "dtype": "torch.set_default_dtype(torch.float16)",
    "device": "torch.set_default_device('meta')",
    "grad": "torch.set_grad_enabled(False)",
    "threads": "torch.set_num_threads(torch.get_num_threads() + 1)",
    "precision": "torch.set_float32_matmul_precision('high')",
    "deterministic": "torch.use_deterministic_algorithms(True)",
    "only a warning": "torch.use_deterministic_algorithms(True, warn_only=True)",
    "anomaly": "torch.autograd.set_detect_anomaly(True, check_nan=False)",
    "printing": "torch.set_printoptions(precision=2, sci_mode=False)",
    "einsum": "torch.backends.opt_einsum.strategy = 'greedy'",
    "benchmark": "torch.backends.cudnn.benchmark = True",
    "tf32": "torch.backends.cuda.matmul.allow_tf32 = True",
    "new tf32": "torch.backends.cuda.matmul.fp32_precision = 'tf32'",
    "flash": "torch.backends.cuda.enable_flash_sdp(False)",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_setting_is_seen_and_put_back(change):
    need("torch")
    torch = sys.modules["torch"]
    before = worker_torch.read(torch)
    try:
        exec(change, {"torch": torch})
        changed = worker_torch.read(torch)
    finally:
        worker_torch.restore(torch, before)
    assert changed != before
    assert worker_torch.read(torch) == before


def test_setting_that_torch_refuses_to_tell_is_left_alone():
    """As 2.9 does with the older names once a newer one was used."""

    def refuse(*_):
        raise RuntimeError("a mix of the legacy and new APIs")

    torch = types.SimpleNamespace(
        get_float32_matmul_precision=refuse,
        set_float32_matmul_precision=refuse,
        is_grad_enabled=lambda: torch.grad,
        set_grad_enabled=lambda value: setattr(torch, "grad", value),
        grad=True,
    )
    before = worker_torch.read(torch)
    torch.grad = False
    worker_torch.restore(torch, before)
    assert before == {"set_grad_enabled": True}
    assert torch.grad
