"""Two models, one GPU: the fresh process of a check where both do not fit.

Real processes; the GPU is a stand-in. A model "holds" what its process has written down,
as long as that process lives, and `nvidia-smi` says so.
"""

from __future__ import annotations

import pytest

from rpnb.export.verify import verify
from rpnb.session import bootstrap
from rpnb.session.session import connect
from rpnb.transport import open_transport
from tests.export.test_verify import program, recorded

pytestmark = pytest.mark.timeout(120)

# 24 GB; memory of a dead process is free again. `told` 0 is a driver that tells of no process.
SMI = """#!/bin/sh
cd {folder}
used=531
for pid in $(ls held); do
  kill -0 $pid 2>/dev/null || continue
  used=$((used + $(cat held/$pid)))
  case "$1" in *compute-apps*) [ -e told ] && echo "$pid, $(cat held/$pid)";; esac
done
case "$1" in *query-gpu*) echo "0, GPU-1, NVIDIA RTX 4090, $used, 24564";; esac
exit 0
"""
MODEL = """\
import os, pathlib
held = pathlib.Path({folder!r}, "held")
living = [int(each.name) for each in held.iterdir() if os.path.exists(f"/proc/{{each.name}}")]
(held / str(os.getpid())).write_text("{mb}")
served = 0


def handler(job):
    global served
    served += 1
    others = len(living) if job["input"] == "alone" else 0
    return {{"others": others, "served": served if job["input"] == "count" else 0}}


"""


@pytest.fixture
def gpu(tmp_path, monkeypatch):
    """The folder of a stand-in for a GPU; its `nvidia-smi` is the first on the path."""
    folder = tmp_path / "gpu"
    (folder / "held").mkdir(parents=True)
    (folder / "told").touch()
    tool = folder / "nvidia-smi"
    tool.write_text(SMI.format(folder=folder))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setenv("RPNB_HOME", str(tmp_path / "home"))
    return folder


@pytest.fixture
def session(gpu):
    with connect("local", name="demo") as opened:
        yield opened
        opened.stop()


def alive():
    return [e["worker"] for e in bootstrap.census(open_transport("local"))["workers"] if e["alive"]]


def holders(gpu):
    """The processes that loaded the model so far, in order."""
    return sorted((gpu / "held").iterdir(), key=lambda each: each.stat().st_mtime_ns)


@pytest.mark.parametrize("is_told", [True, False], ids=["by process", "in a container"])
def test_model_that_fits_once_is_checked_by_a_process_that_takes_its_place(gpu, session, is_told):
    if not is_told:
        (gpu / "told").unlink()
    made = program(MODEL.format(folder=str(gpu), mb=14_000))
    jobs = recorded(session, made, "alone", "a")
    said = []
    proof = verify(session, made, jobs, on_progress=said.append)
    assert (proof.equal, proof.total, proof.replaced) == (2, 2, True), proof
    assert proof.summary.endswith("it is the warm one now)")
    assert said[0].startswith("the GPU has no room for two: the warm worker ends")
    assert len(holders(gpu)) == 2
    # The old process was gone before the model was loaded, and the new one is warm.
    assert alive() == ["demo"]
    assert session.info["pid"] == int(holders(gpu)[-1].name)
    assert recorded(session, made, "count")[0][1].output["served"] == 3
    assert len(holders(gpu)) == 2


def test_model_that_fits_twice_is_checked_beside_the_warm_one(gpu, session):
    made = program(MODEL.format(folder=str(gpu), mb=9_000))
    jobs = recorded(session, made, "a", "a")
    proof = verify(session, made, jobs)
    assert (proof.proved, proof.replaced) == (True, False)
    assert len(holders(gpu)) == 2
    assert alive() == ["demo"]
    assert session.info["pid"] == int(holders(gpu)[0].name)
    assert recorded(session, made, "count")[0][1].output["served"] == 3


def test_state_of_a_worker_that_gave_way_is_compared_all_the_same(gpu, session):
    made = program(MODEL.format(folder=str(gpu), mb=14_000))
    jobs = recorded(session, made, "a", "count")
    proof = verify(session, made, jobs[1:])
    assert proof.differences[0] == "job j1: output.served: 2, then 1"
    assert "served" in proof.differences[1]
    assert proof.replaced and not proof.proved
