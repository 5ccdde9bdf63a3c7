"""A worker that nobody uses: who is told before it is stopped, and how it is kept."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest


@pytest.fixture
def device():
    """The name of a GPU's device, as a program that computes on it has it open."""
    path = Path(f"/dev/nvidia{os.getpid()}")
    try:
        path.touch()
    except OSError:
        pytest.skip("no right to make a file in /dev")
    yield path
    path.unlink()


def test_status_warns_before_a_worker_that_holds_a_gpu_is_stopped_and_keep_turns_it_off(
    book, monkeypatch, device
):
    # Six times as long while a notebook is connected.
    monkeypatch.setenv("RPNB_IDLE", "500")
    book.run(f"%runpod_connect local --python {sys.executable}")
    assert "if it is not used" not in book.run("%runpod_status").text, "there is nothing to lose"
    book.run(f"%%runpod_setup\ncontext = open({str(device)!r})")
    said = book.run("%runpod_status").text
    assert "stopped in 50 min if it is not used │ `%runpod_connect --keep` leaves it on" in said
    book.run("%runpod_connect local --keep")
    assert "if it is not used" not in book.run("%runpod_status").text
    assert "worker stays warm ·" in book.run("%runpod_disconnect").text
