"""The journal: numbers, torn tails, and readers that follow."""

from __future__ import annotations

import errno
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpnb.agent import journal as journals
from rpnb.agent.journal import Journal, JournalReader, segments
from rpnb.errors import NoSpace


def append(journal, *kinds, request="r"):
    return [journal.append(kind, {}, request=request, out=1, err=2) for kind in kinds]


def last(path):
    return journals.path_of(path, segments(path)[-1])


@pytest.fixture
def small(monkeypatch):
    """Segments of one event each."""
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal"


def test_append_numbers_from_one(path):
    assert [e.seq for e in append(Journal(path), "accepted", "done")] == [1, 2]


def test_append_after_reopening_goes_on_counting(path):
    append(Journal(path), "accepted", "done")
    assert append(Journal(path), "accepted")[0].seq == 3


def test_read_gives_back_what_was_appended(path):
    journal = Journal(path)
    event = journal.append("chunk", {"job": "ü"}, request=None, out=5, err=6, buffers=(b"a", b""))
    assert list(journal.read()) == [event]


def test_read_after_a_number_skips_to_it(path):
    journal = Journal(path)
    append(journal, "accepted", "done", "accepted")
    assert [e.seq for e in journal.read(2)] == [3]


@given(cut=st.integers(min_value=1, max_value=150))
def test_torn_tail_is_skipped_and_cut_off(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("torn") / "journal"
    journal = Journal(path)
    append(journal, "accepted")
    whole = last(path).stat().st_size
    journal.append("chunk", {"job": "j"}, request="r", out=0, err=0, buffers=(b"x" * 40,))
    journal.close()
    os.truncate(last(path), max(whole, last(path).stat().st_size - cut))
    reader = JournalReader(path)
    assert [e.seq for e in reader.poll()] == [1]
    again = Journal(path)
    assert last(path).stat().st_size == whole
    append(again, "done")
    assert [(e.seq, e.kind) for e in reader.poll()] == [(2, "done")]
    reader.close()
    again.close()


def test_garbage_at_the_end_is_cut_off(path):
    append(Journal(path), "accepted")
    with last(path).open("ab") as file:
        file.write(b"no frame at all, but long enough to be one")
    assert append(Journal(path), "done")[0].seq == 2


def test_reader_follows_a_writer(path):
    journal, reader = Journal(path), JournalReader(path)
    assert list(reader.poll()) == []
    append(journal, "accepted")
    assert [e.seq for e in reader.poll()] == [1]
    append(journal, "done")
    assert [e.seq for e in reader.poll()] == [2]


def test_reader_reads_events_larger_than_its_chunk(path):
    journal = Journal(path)
    body = {"job": "x" * 100_000}
    event = journal.append("chunk", body, request="r", out=0, err=0, buffers=(bytes(300_000),))
    append(journal, "done")
    assert [e.kind for e in JournalReader(path).poll()] == ["chunk", "done"]
    assert next(JournalReader(path).poll()) == event


def test_entries_locate_the_bytes_of_each_event(path):
    journal = Journal(path)
    append(journal, "accepted", "done")
    reader = JournalReader(path)
    entries = list(reader.entries())
    assert entries[0].start == 0 and entries[0].end == entries[1].start
    assert entries[1].end == last(path).stat().st_size


# Segments


def test_full_segment_is_followed_by_one_named_after_its_first_event(path, small):
    append(Journal(path), "accepted", "done", "accepted")
    assert segments(path) == [1, 2, 3]


def test_reader_follows_from_segment_to_segment(path, small):
    journal, reader = Journal(path), JournalReader(path)
    for kinds in (["accepted"], ["done", "accepted"], [], ["done"]):
        append(journal, *kinds)
        assert [e.kind for e in reader.poll()] == kinds


def test_reader_begins_in_the_segment_of_the_next_event(path, monkeypatch):
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 300)
    append(Journal(path), *["accepted", "done"] * 10)
    for after in range(20):
        assert [e.seq for e in JournalReader(path, after).poll()] == list(range(after + 1, 21))


def test_reader_begins_with_what_is_still_kept(path, small):
    append(Journal(path), *["accepted", "done"] * 3)
    for first in (1, 2, 3):
        journals.path_of(path, first).unlink()
    assert [e.seq for e in JournalReader(path, 1).poll()] == [4, 5, 6]


def test_journal_whose_writer_died_before_it_used_a_new_segment_goes_on(path, small):
    journal = Journal(path)
    append(journal, "accepted")
    journals.path_of(path, 2).touch()
    assert append(Journal(path), "done")[0].seq == 2
    assert [e.seq for e in JournalReader(path).poll()] == [1, 2]


def test_append_from_threads_keeps_every_number(path):
    journal = Journal(path)
    threads = [threading.Thread(target=append, args=(journal, *["done"] * 50)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [e.seq for e in journal.read()] == list(range(1, 201))


def test_append_on_a_full_disk_leaves_the_journal_whole(path, monkeypatch):
    journal = Journal(path)
    append(journal, "accepted")
    size, write = last(path).stat().st_size, os.write
    answers = iter([10])

    def until_full(file, data):
        room = next(answers, None)
        if room is None:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data[:room])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", until_full)
        with pytest.raises(NoSpace):
            append(journal, "done")
    assert last(path).stat().st_size == size
    assert append(journal, "done")[0].seq == 2
