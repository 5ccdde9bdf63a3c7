"""Attributes of models that jobs set: an edit of the handler sets them back, and loads nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .differential import difference, there_and_back
from .stage import Stage
from .version import Version

_LOAD = """\
import runpod
from diffusers import DPMSolverMultistepScheduler as Dpm, EulerAncestralDiscreteScheduler as Euler
from diffusers import StableDiffusionXLPipeline
pipe = StableDiffusionXLPipeline.from_pretrained("org/sdxl")
"""
_START = "runpod.serverless.start({'handler': handler})"
_ANSWER = "    return type({0}.scheduler).__name__, getattr({0}, 'kept', 0), {1}, {0}('a').images\n"
# What sets it, and what the pipeline is called.
SET = {
    "in the handler": ("def handler(job):\n    pipe.scheduler = Euler(n=job['input'])\n", "pipe"),
    "from the one before": (
        "def handler(job):\n"
        "    pipe.scheduler = Euler.from_config({**pipe.scheduler.config, 'n': job['input']})\n",
        "pipe",
    ),
    "under another name": ("def handler(job):\n    p = pipe\n    p.scheduler = Euler()\n", "pipe"),
    "by a function": (
        "def swap(n):\n    pipe.scheduler = Euler(n=n)\n"
        "def handler(job):\n    swap(job['input'])\n",
        "pipe",
    ),
    "by a function that is given it": (
        "def swap(p, n):\n    p.scheduler = Euler(n=n)\n"
        "def handler(job):\n    swap(pipe, job['input'])\n",
        "pipe",
    ),
    "of an object of ours": (
        "class Models:\n    def __init__(self, base):\n        self.base = base\n"
        "models = Models(pipe)\ndef handler(job):\n    models.base.scheduler = Euler()\n",
        "models.base",
    ),
    "by a method": (
        "class Predictor:\n    def __init__(self, base):\n        self.base = base\n"
        "    def swap(self, n):\n        self.base.scheduler = Euler(n=n)\n"
        "predictor = Predictor(pipe)\ndef handler(job):\n    predictor.swap(job['input'])\n",
        "predictor.base",
    ),
    "one that was not there": ("def handler(job):\n    pipe.kept = job['input']\n", "pipe"),
    "two": ("def handler(job):\n    pipe.scheduler, pipe.kept = Dpm(), 1\n", "pipe"),
}
# What sets it, and does more to the pipeline.
MORE = {
    "in place": "pipe.scheduler.options['n'] = 1",
    "a part of it, too": "pipe.adapters.append(1)",
    "added to": "pipe.adapters += [1]",
    "deleted": "del pipe.safety_checker",
    "by name": "setattr(pipe, 'safety_checker', 1)",
    "by text": "exec('pipe.adapters.append(1)')",
}


@pytest.fixture(scope="module")
def libraries() -> Iterator[Stage]:
    """A stage with stand-ins of libraries that tell what they loaded."""
    with Stage(standins=True) as found:
        yield found


def _version(sets: str, pipe: str = "pipe", number: int = 1, setup: str = "") -> Version:
    program = f"{_LOAD}{setup}{sets}{_ANSWER.format(pipe, number)}{_START}"
    return Version((program,), {}, (1, 2), frozenset({"pipe", "models", "predictor"}))


@pytest.mark.parametrize("about", SET)
def test_attribute_that_jobs_set_is_set_back_and_the_model_stays(
    libraries: Stage, about: str
) -> None:
    sets, pipe = SET[about]
    reads = f"{sets.rpartition('def handler(job):')[0]}def handler(job):\n"
    every = _version(sets, pipe), _version(sets, pipe, 2), _version(reads, pipe)
    assert not there_and_back(libraries, *every)
    with libraries.warm() as warm:
        loads = [warm.sync(version).loads for version in (*every, every[0])]
    assert loads == [["org/sdxl"], [], [], []]


@pytest.mark.parametrize("about", SET)
def test_set_up_below_jobs_finds_the_attribute_as_it_was(libraries: Stage, about: str) -> None:
    sets, pipe = SET[about]
    looks = "sort = type(pipe.scheduler).__name__, hasattr(pipe, 'kept')\n"
    every = _version(sets, pipe), _version(sets, pipe, setup=looks)
    assert not there_and_back(libraries, *every)


@pytest.mark.parametrize("about", MORE)
def test_model_of_which_jobs_change_more_is_loaded_anew(libraries: Stage, about: str) -> None:
    sets = f"def handler(job):\n    pipe.scheduler = Euler()\n    {MORE[about]}\n"
    every = _version(sets), _version(sets, number=2)
    # The answer tells of all that was changed.
    assert not there_and_back(libraries, *every)
    with libraries.warm() as warm:
        assert [warm.sync(version).loads for version in every] == [["org/sdxl"], ["org/sdxl"]]


def test_attributes_of_a_model_that_is_loaded_anew_are_its_own(libraries: Stage) -> None:
    sets, pipe = SET["from the one before"]
    one = _version(sets, pipe)
    other = Version((one.steps[0].replace("org/sdxl", "org/other"),), {}, one.jobs, one.hidden)
    assert not difference(libraries, [one, other, _version(sets, pipe, 2), other, one])
