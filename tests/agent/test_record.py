"""What a relay knows: the same after it was killed, and of runs that are no longer kept."""

from __future__ import annotations

import pytest

from rpnb.agent import journal as journals
from rpnb.agent import known
from rpnb.agent.journal import segments
from rpnb.agent.record import Record
from tests.agent.writer import Writer

SYNCED = {"cells": {"c": {}}, "kept": [], "names": {"model": "Model"}, "gpus": [], "notes": []}


@pytest.fixture
def writer(tmp_path, monkeypatch):
    monkeypatch.setattr(journals, "SEGMENT_BYTES", 600)
    writer = Writer(tmp_path)
    yield writer
    writer.journal.close()


def facts(record):
    """What is known, but for the time that has passed."""
    known = {**vars(record.known)}
    traces = {name: vars(trace) | {"jobs": [*trace.jobs]} for name, trace in record.traces.items()}
    return {**known, "traces": traces}, record.segments


def test_new_relay_knows_what_the_one_before_knew(writer):
    writer.event("born", None, {"generation": 1, "info": {"pid": 7}})
    writer.event("synced", "a", SYNCED)
    for name in "abc":
        writer.run(name, "text", chunks=5)
    writer.event("job", "d", {"job": {"id": "j"}})
    with writer.record() as record, writer.record() as again:
        assert facts(again) == facts(record)
        assert again.known.born["info"] == {"pid": 7}
        assert again.warm()["names"] == {"model": "Model"}
        assert again.open_requests() == [again.traces["d"]]


def test_new_relay_reads_only_the_end_of_the_journal(writer):
    for name in "abc":
        writer.run(name, chunks=20)
    with writer.record() as record:
        last = record.segments[-1]
    again = Record(writer.directory)
    assert again.known.seq == last - 1
    again.close()


@pytest.mark.parametrize("text", ["", "{", '{"seq": 3}', '{"seq": 9, "traces": [{"no": 1}]}'])
def test_index_that_is_torn_or_of_another_version_is_made_anew(writer, text):
    writer.run("a", chunks=20)
    with writer.record() as record:
        expected = facts(record)
        writer.directory.index.write_text(text)
        with writer.record() as again:
            assert facts(again) == expected


def test_index_of_a_journal_that_was_removed_does_not_count(writer):
    writer.run("a", chunks=20)
    with writer.record():
        pass
    for first in segments(writer.directory.journal):
        journals.path_of(writer.directory.journal, first).unlink()
    with writer.record() as again:
        assert again.seq == 0 and not again.traces


def test_forgotten_run_is_known_by_its_end_alone(writer):
    for name in "abc":
        writer.run(name, chunks=5)
    with writer.record() as record:
        record.forget([record.traces["a"]])
        with writer.record() as again:
            assert facts(again) == facts(record)
            assert again.known.forgotten == {"a": "COMPLETED"}
            assert [*again.traces] == ["b", "c"]
    assert segments(writer.directory.journal)[0] > 1


def test_forgotten_run_stays_known_over_segments_written_while_there_was_no_relay(writer):
    for name in "abc":
        writer.run(name, chunks=5)
    with writer.record() as record:
        record.forget([record.traces["a"]])
    before = segments(writer.directory.journal)
    writer.run("d", chunks=20)
    assert len(segments(writer.directory.journal)) > len(before) + 1
    with writer.record() as again:
        assert again.known.forgotten == {"a": "COMPLETED"}
        assert [*again.traces] == ["b", "c", "d"]
        assert again.segments == segments(writer.directory.journal)
        assert again.traces["d"].ended and again.seq == writer.journal.seq


def test_segment_that_a_kept_run_begins_in_stays(writer):
    for name in "abcd":
        writer.run(name, chunks=4)
    with writer.record() as record:
        record.forget([record.traces["a"], record.traces["b"]])
        assert segments(writer.directory.journal) == record.segments
        assert record.segments[0] <= record.traces["c"].first < record.segments[1]


def test_last_segment_stays_whatever_is_forgotten(writer):
    for name in "abc":
        writer.run(name, chunks=5)
    with writer.record() as record:
        record.forget(list(record.traces.values()))
        assert len(segments(writer.directory.journal)) == 1
        writer.run("d")
        list(record.poll())
        assert [*record.traces] == ["d"]


def test_forgotten_ids_are_bounded(writer, monkeypatch):
    monkeypatch.setattr(known, "_MOST_FORGOTTEN", 2)
    for name in "abc":
        writer.run(name)
    with writer.record() as record:
        record.forget(list(record.traces.values()))
        assert [*record.known.forgotten] == ["b", "c"]
