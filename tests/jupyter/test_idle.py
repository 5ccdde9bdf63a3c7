"""A worker that nobody uses: who is told before it is stopped, and how it is kept."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from rpnb.jupyter.extension import notebook_of
from rpnb.session.link_state import State


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


def test_disconnect_says_for_how_long_the_worker_stays(book, monkeypatch):
    monkeypatch.setenv("RPNB_IDLE", "600")
    book.run(f"%runpod_connect local --python {sys.executable}")
    assert "worker stays warm for 10 min ·" in book.run("%runpod_disconnect").text


@pytest.mark.slow  # the idle time
def test_run_after_an_idle_end_with_the_notebook_attached_loads_the_program_again(
    book, places, monkeypatch
):
    # Six times as long while a notebook is connected; kept until the job is done.
    monkeypatch.setenv("RPNB_IDLE", "0.2")
    book.run(f"%runpod_connect local --keep --python {sys.executable}")
    book.run("%%runpod_setup model\nimport os\nprint('loading')\nborn = os.getpid()")
    book.run("%%runpod_handler --input 1\ndef handler(job):\n    return born")
    first, link = book.names["_result"].output, notebook_of(book.shell).session._link
    (kept,) = (places / "rpnb" / "run").glob("*/keep")
    kept.unlink()
    link.ask()
    deadline = time.monotonic() + 60
    while link._state is not State.DOWN:
        assert time.monotonic() < deadline, "the worker was not ended"
        time.sleep(0.01)
    said = book.run("%runpod_run 2")
    assert said.error is None and "loading" in said.text
    assert book.names["_result"].output != first
