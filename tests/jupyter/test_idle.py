"""A worker that nobody uses: who is told before it is stopped, and how it is kept."""

from __future__ import annotations

import sys


def test_status_warns_before_an_unused_worker_is_stopped_and_keep_turns_it_off(book, monkeypatch):
    # Six times as long while a notebook is connected.
    monkeypatch.setenv("RPNB_IDLE", "500")
    book.run(f"%runpod_connect local --python {sys.executable}")
    said = book.run("%runpod_status").text
    assert "stopped in 50 min if it is not used │ `%runpod_connect --keep` leaves it on" in said
    book.run("%runpod_connect local --keep")
    assert "if it is not used" not in book.run("%runpod_status").text
    assert "worker stays warm ·" in book.run("%runpod_disconnect").text
