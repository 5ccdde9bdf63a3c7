"""What a cancelled job may have left half-written, and what it cannot have."""

import textwrap

import pytest

from rpnb.planner import plan

CASES = {
    "stores nothing": ("return job", set()),
    "one store is whole or not there": ("cache[1] = 2", set()),
    "one lazy load is whole or not there": ("global model\nmodel = model or load()", set()),
    "one attribute of the model": ("pipe.scheduler = job", set()),
    "two stores may be one": ("cache[1] = 2\ncache[2] = 3", {"cache"}),
    "two lazy loads may be one": (
        "global model, tokens\nmodel = 1\ntokens = 2",
        {"model", "tokens"},
    ),
    "a loop may stop anywhere": ("for each in job:\n    cache[each] = 1", {"cache"}),
    "a call that changes counts": ("cache.update(job)\ncache.clear()", {"cache"}),
    "a store by another name is not counted": ("c = cache\nc[1] = 2", {"cache"}),
    "a local of its own is nobody's": ("own = {}\nown[1] = own[2] = 3\ncache[1] = own", set()),
    "unrelated names stay": ("cache[1] = 2\ncache[2] = 3\nreturn pipe(job)", {"cache"}),
}


def halves(body, extra=""):
    text = "cache = {}\nmodel = tokens = None\n" + extra
    text += "def handler(job):\n" + textwrap.indent(body, "    ")
    *steps, start = plan.steps(text + "\nrunpod.serverless.start({'handler': handler})")
    return plan.half_written([plan.Executed(step) for step in steps], start)


@pytest.mark.parametrize("case", CASES)
def test_half_written_names(case):
    body, expected = CASES[case]
    assert halves(body) == expected


def test_half_written_by_a_function_that_the_handler_calls():
    helper = "def fill():\n    cache[1] = 2\n    cache[2] = 3\n"
    assert halves("fill()", helper) == {"cache"}
    assert halves("return 1", helper) == set()
