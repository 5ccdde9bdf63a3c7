"""Varied notebooks: executed, exported twice, and the file's outputs compared with what ran.

Each notebook is tried once in a process; the tests look at the parts of that trial.
"""

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from rpnb.cli import headless
from rpnb.cli.notebook import read
from rpnb.cli.progress import Progress
from rpnb.cli.source import Wanted, load
from rpnb.export.compare import results_differ
from rpnb.session.result import Result
from tests import production

FOLDER = Path(__file__).parent / "notebooks"
NOTEBOOKS = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.ipynb"))
# One of each kind: jobs that succeed, that raise, that return an error; a loop that awaits.
EXITING = ["pasted_handler.ipynb", "validation.ipynb", "error_dicts.ipynb", "async_handler.ipynb"]

# Beside the notebook's own cells, what a person would do at the end of it.
_AFTERWARDS = """\
import json as _json, pathlib as _pathlib, rpnb
_jobs = _json.loads(_pathlib.Path("jobs.json").read_text())
_results = [rpnb.run(_job).to_dict() for _job in _jobs]
_pathlib.Path("results.json").write_text(_json.dumps(_results))
"""
_EXPORT = "%runpod_export kernel/handler.py"

pytestmark = pytest.mark.timeout(180)


@dataclass(frozen=True)
class Trial:
    """One notebook, tried: what its jobs gave there, and the two exports."""

    outcome: headless.Outcome
    jobs: list
    results: list
    kernel: Path
    cli: Path
    scratch: Path


@pytest.fixture
def trial(request):
    """The trial of this notebook, made once in a process."""
    return _trial(request.param)


def each(names):
    """Run a test on the trial of each notebook."""
    return pytest.mark.parametrize("trial", names, indirect=True)


@functools.cache
def _trial(name):
    folder = Path(tempfile.mkdtemp(prefix="rpnb-notebook-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    shutil.copytree((FOLDER / name).parent, folder / "project")
    path = folder / "project" / Path(name).name
    settings = {
        "RPNB_HOME": str(folder / "home"),
        "RPNB_TARGET": "local",
        "XDG_STATE_HOME": str(folder / "state"),
    }
    jobs = list(load(path, Wanted(every=True), Progress()).jobs)
    (path.parent / "jobs.json").write_text(json.dumps(jobs))
    try:
        outcome = _execute(path, settings)
    finally:
        _rpnb(settings, "stop")
    _rpnb(settings, "export", str(path), "-o", str(path.parent / "cli" / "handler.py"))
    results = path.parent / "results.json"
    return Trial(
        outcome,
        jobs,
        [_result(each) for each in json.loads(results.read_text())] if results.exists() else [],
        path.parent / "kernel",
        path.parent / "cli",
        folder,
    )


def _execute(path, settings):
    """Execute it as a person would: connected, and not headless, for it shall export."""
    import nbformat

    notebook = read(path)
    for source in (_AFTERWARDS, _EXPORT, "%runpod_stop"):
        notebook.node.cells.append(nbformat.v4.new_code_cell(source))
    nbformat.write(notebook.node, path.with_name("extended.ipynb"))
    notebook = read(path.with_name("extended.ipynb"))
    return headless.execute(notebook, {**settings, "RPNB_HEADLESS": "0"}, Progress())


def _rpnb(settings, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "rpnb", *arguments],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )


def _result(found):
    post = {key: found[key] for key in ("output", "error", "stopPod") if key in found}
    return Result(found["id"], found["status"], json.dumps(post), stream=found["stream"])


def _produced(job, answer):
    """What production gave, as a result: an error in the post is what makes it FAILED."""
    post = answer["post"]
    status = "FAILED" if post is None or "error" in post else "COMPLETED"
    return Result(job["id"], status, json.dumps(post or {}), stream=answer["stream"])


def _files(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@each(NOTEBOOKS)
def test_notebook_runs_to_its_end(trial):
    failed = trial.outcome.failed
    assert failed is None, f"{failed.cell.label}: {failed.error}\n{failed.traceback}"
    assert len(trial.results) == len(trial.jobs) > 0


@each(NOTEBOOKS)
def test_export_of_kernel_and_command_line_are_the_same_bytes(trial):
    assert _files(trial.cli) == _files(trial.kernel) != {}


@each(NOTEBOOKS)
def test_exported_file_in_production_gives_what_the_notebook_gave(trial):
    answers = production.drive(trial.cli / "handler.py", trial.jobs, trial.scratch)
    produced = [_produced(*pair) for pair in zip(trial.jobs, answers, strict=True)]
    pairs = zip(trial.results, produced, strict=True)
    assert [found for found in (results_differ(*pair) for pair in pairs) if found] == []


@each(EXITING)
def test_exported_file_exits_as_its_jobs_end(trial):
    """`--test_input` never iterates a generator; else its exit code is the job's."""
    # One job of each outcome: every process imports runpod.
    chosen = {result.ok: job for job, result in zip(trial.jobs, trial.results, strict=True)}
    codes = {
        ok: production.test_input(trial.cli / "handler.py", job, trial.scratch)
        for ok, job in chosen.items()
    }
    assert codes == {ok: 0 if ok else 1 for ok in chosen}
