import threading
import tracemalloc

from rpnb.errors import ProtocolError
from rpnb.session import inbox as inboxes
from rpnb.session.inbox import MOST_BYTES, Inbox


def test_news_stays_until_it_is_dropped():
    inbox = Inbox()
    inbox.put("a")
    assert inbox.first(1) == inbox.first(1) == "a"
    inbox.drop("a")
    inbox.drop("a")
    assert inbox.first(0.001) is None


def test_news_that_comes_while_a_run_waits_wakes_it():
    inbox = Inbox()
    threading.Timer(0.05, inbox.put, ["a"]).start()
    assert inbox.first(10) == "a"


def test_inbox_is_full_until_it_is_read():
    inbox = Inbox()
    for number in range(3):
        inbox.put(str(number), MOST_BYTES // 2)
    assert inbox.is_full
    inbox.drop(inbox.first(1))
    assert not inbox.is_full


def test_reading_that_fails_is_news():
    inbox = Inbox()
    inbox.read = lambda news: 1 / 0
    inbox.put("a")
    assert isinstance(inbox.first(1), ProtocolError)


def test_a_million_news_leave_nothing_behind():
    inbox = Inbox()
    tracemalloc.start()
    for _ in range(100_000):
        inbox.put("a", 1)
        inbox.drop(inbox.first(1))
    taken = tracemalloc.take_snapshot()
    tracemalloc.stop()
    # What threads of other tests take meanwhile is not the inbox's.
    own = taken.filter_traces([tracemalloc.Filter(True, inboxes.__file__)])
    assert sum(each.size for each in own.traces) < 10_000
