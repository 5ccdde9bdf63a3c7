"""The lines of `rpnb ps`."""

import time

from rpnb.cli.ps import gpu, line, running

WORKER = {
    "worker": "sdxl-1a2b3c4d",
    "alive": True,
    "relay": True,
    "since": 0,
    "bytes": 2_100_000_000,
    "gpu_bytes": 6_900_000_000,
    "idle": 720.0,
    "jobs": [{"request": "7f3a55", "job": {}, "status": "COMPLETED", "at": 0}],
}


def test_line_names_what_a_worker_holds_and_its_last_job():
    worker = {**WORKER, "since": time.time() - 3 * 3600}
    assert line("my-gpu", worker) == (
        "my-gpu │ sdxl-1a2b3c4d │ warm for 3 h │ 6.9 GB VRAM · 2.1 GB "
        "│ idle 12 min · last job 7f3a COMPLETED"
    )


def test_line_names_the_job_that_runs():
    job = {"request": "beef00", "job": {}, "status": "IN_PROGRESS", "at": time.time() - 20}
    assert line("my-gpu", {**WORKER, "jobs": [job]}).endswith("│ job beef runs for 20 s")


def test_line_of_a_worker_that_ended_says_so():
    ended = {"worker": "w", "alive": False, "relay": True, "since": None, "bytes": 0}
    assert line("my-gpu", ended) == "my-gpu │ w │ its process ended"


def test_line_of_a_gpu_names_its_memory():
    reading = {"name": "NVIDIA RTX 4090", "used_bytes": 7.4e9, "total_bytes": 24e9}
    assert gpu(reading) == ("NVIDIA RTX 4090", "VRAM 7.4 / 24 GB")


def test_worker_without_process_and_agent_is_not_listed():
    assert running([{"worker": "w", "alive": False, "relay": False}]) == []
