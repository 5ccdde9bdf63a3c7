"""What a run's updates leave in the page of a front end."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from IPython.core.displaypub import CapturingDisplayPublisher

from rpnb.jupyter.running import follow
from rpnb.jupyter.screen import CellScreen
from rpnb.session import updates
from rpnb.session.result import Result

DONE = updates.Finished(Result("j", "COMPLETED"))


@pytest.fixture
def page(book, monkeypatch):
    """What was published to the front end of a kernel, in order."""
    page = CapturingDisplayPublisher()
    monkeypatch.setattr(book.shell, "display_pub", page)
    return page.outputs


@pytest.mark.parametrize(
    ("kind", "counted"),
    [(updates.Streamed, "streaming: 51 chunks"), (updates.Progressed, "progress: 50")],
)
def test_flood_of_values_is_fifty_in_the_page_and_a_count_in_its_first_line(page, kind, counted):
    began = time.monotonic()
    told = [*[kind("j", n) for n in range(1000)], DONE]
    follow(iter(told), CellScreen(SimpleNamespace(kernel=object())), "local")
    texts = [each["data"]["text/plain"] for each in page]
    drawn = [text for text, each in zip(texts, page, strict=True) if not each["transient"]]
    assert [text.split()[-1] for text in drawn] == [str(n) for n in range(50)]
    leads = texts[50:]
    assert leads[0] == f"local │ handler │ {counted}"
    assert len(leads) <= 1 + (time.monotonic() - began) / 0.1, "more than a page can follow"
