"""The bounds that `docs/reliability.md` promises are those of the code."""

import re
from pathlib import Path

import pytest

from rpnb.agent import caches, desk, feed, idle, journal, keeping, requests
from rpnb.jupyter import display, printed
from rpnb.program import own
from rpnb.protocol import blobs, frames
from rpnb.session import (
    away,
    chunks,
    inbox,
    line,
    link,
    logs,
    outgoing,
    pulse,
    reach,
    redial,
    session,
)

TEXT = (Path(__file__).parents[1] / "docs" / "reliability.md").read_text(encoding="utf-8")
# As it is read: without line ends and marks.
SAID = re.sub(r"\s+", " ", TEXT.replace("*", "").replace("`", ""))


def many(number):
    return f"{number:,}".replace(",", " ")


PROMISES = [
    f"the client asks after {pulse.ASK:g} s of silence",
    f"After {pulse.SUSPECT:g} s without a byte",
    f"while more than {outgoing._LARGE >> 10} KiB are on their way",
    f"up to {pulse._LAST_SUSPECT:g} s, until {pulse.CALM:g} s went by",
    f"80 s, up to {pulse._LAST_CALM:g} s",
    f"after {redial._FIRST:g}, 0.2, … up to {redial._LONGEST:g} s, each pause "
    f"±{redial._JITTER * 100:g} %",
    f"cut within {link._STABLE:g} s of its return",
    f"a clock that jumped by {link._ASLEEP:g} s",
    f"a stream {reach._OPENING_AGAIN:g} s (after each miss twice as long, up to "
    f"{reach._OPENING:g} s)",
    f"the agent's first word {line.GREETING:g} s",
    f"preparing an agent that is gone {reach._PREPARING / 60:g} min",
    f"abandoned after {redial._LIMIT / 60:g} min",
    f"Values go in {blobs.BLOCK_BYTES >> 20} MiB blocks",
    f"Nothing is said for {link._TOLD_FIRST:g} s",
    f"A run waits {redial.PATIENCE / 3600:g} h",
    f"Restart and stop wait {session._HOLD:g} s",
    f"that is left {session._LEAVE:g} s",
    f"has failed, or after {away._MENDED:g} s",
    f"{inbox.MOST_BYTES >> 20} MiB and one message",
    f"a run that reads nothing for {link.UNREAD:g} s",
    f"as much for each request, {many(outgoing.MOST_WAITING)} messages",
    f"{frames.MAX_HEAD >> 20} MiB of head, {frames.MAX_BUFFERS >> 20} MiB of buffers",
    f"no more than {many(frames.MAX_VALUES)} values in the head",
    f"more than {feed._BEHIND >> 20} MB behind a log for {feed._PATIENCE:g} s gets its last "
    f"{feed._TAIL >> 20} MB",
    f"the first and the last {logs.MOST_KEPT / 2e6:g} MB",
    f"the first {chunks.MOST_BYTES / 1e6:g} MB of JSON each, a chunk counted as "
    f"{chunks._LEAST_BYTES} bytes",
    f"at most {1 / printed._TEXT_SECONDS:g} times a second and counts "
    f"{1 / printed._COUNT_SECONDS:g} to",
    f"the first {printed.MOST_DRAWN / 1e3:g} kB of a cell's log and the last "
    f"{printed._END / 1e3:g} kB",
    f"kept for {keeping._KEEP_DAYS:g} days and within {keeping._KEEP_BYTES / 1e9:g} GB",
    f"never more than {keeping._MOST_RUNS} runs",
    f"{keeping._EDGE >> 20} MB stays at each end",
    f"by an agent, every {keeping._COLLECT / 3600:g} hours: values after "
    f"{caches._VALUES_DAYS:g} days without a use, and beyond {caches._VALUES_BYTES / 1e9:g} GB",
    f"folders of workers that ended {caches._WORKERS_DAYS:g} days ago; agents and overlays after "
    f"{caches._TOOLS_DAYS:g} days",
    f"seen the clock run evenly for {keeping._STEADY / 60:g} minutes",
    f"segments of {journal.SEGMENT_BYTES >> 20} MB",
    f"less than {keeping._RESERVE >> 20} MB (or {keeping._RESERVE_SHARE * 100:g} % of",
    f"{idle.SECONDS / 3600:g} h after its last use",
    f"without a run: {idle.SECONDS * idle._ATTACHED / 3600:g} h",
    f"more than {own._MOST_FOREIGN / 1e3:g} kB that are not known",
    f"more than {display._MOST_PIXELS / 1e6:g} million pixels",
    f"does not end within {requests.GRACE:g} s is killed",
    f"gives no sign of life for {desk._SIGN_OF_LIFE:g} s",
]


@pytest.mark.parametrize("promise", PROMISES)
def test_documented_bound_is_the_codes(promise):
    assert promise in SAID
