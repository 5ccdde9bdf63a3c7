"""A flood of text on its way to a page: its start, its end, and how much is between them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpnb.jupyter import printed
from rpnb.jupyter.printed import Printed
from rpnb.session.logs import Lost, hole


class Page:
    def __init__(self):
        self.text, self.flushes, self.counts = "", 0, []

    def printed(self):
        return Printed(self.write, self.flush, self.counts.append)

    def write(self, _stream, text):
        self.text += text

    def flush(self):
        self.flushes += 1


@given(st.lists(st.text("ab\nü", max_size=40), max_size=30))
def test_page_shows_start_and_end_and_counts_the_rest(pieces):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(printed, "MOST_DRAWN", 100)
        patch.setattr(printed, "_END", 50)
        page, whole = Page(), "".join(pieces)
        drawn = page.printed()
        for piece in pieces:
            drawn.add("out", piece)
        drawn.settle()
    if len(whole) <= 150:
        assert page.text == whole and not drawn.lost
    else:
        missing = Lost.of(whole[100:-50])
        assert page.text == whole[:100] + hole(missing) + whole[-50:]
        assert drawn.lost == missing


def test_hole_of_the_log_is_drawn_in_its_place_and_counts_with_what_is_not_drawn():
    page = Page()
    drawn = page.printed()
    drawn.add("out", "first\n")
    drawn.leave_out("out", 3_000_000)
    drawn.add("out", "x" * 999 + "\n")
    drawn.add("out", "y" * 400_000)
    drawn.leave_out("out", 2_000_000)
    drawn.add("out", "z" * 50_000)
    drawn.settle()
    assert page.text.startswith("first\n\n[… 3 MB of output left out here …]\nxxx")
    assert "y\n[… 2 MB of output left out here …]\nzzz" in page.text
    assert drawn.lost.size_bytes == 5_000_000 + 451_006 - 300_000


def test_many_small_prints_reach_the_page_in_few_messages():
    page = Page()
    drawn = page.printed()
    for _ in range(5000):
        drawn.add("out", "a line\n")
    drawn.settle()
    assert page.text == "a line\n" * 5000
    assert page.flushes < 200


def test_flood_is_counted_while_it_goes_on_but_not_at_each_line():
    page = Page()
    drawn = page.printed()
    for _ in range(5000):
        drawn.add("out", "x" * 999 + "\n")
    assert 1 <= len(page.counts) < 100
