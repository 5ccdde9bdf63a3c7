"""A handler file driven as production drives it: the SDK's own `handle_job`, no network.

Run as a script it loads the file as `__main__`, and its `start(config)` takes
the jobs from standard input instead of RunPod's queue. `drive` does that in a
fresh process and returns what each job would have posted.
"""

import asyncio
import json
import os
import runpy
import subprocess
import sys
import types
from pathlib import Path

# It takes 1.2 s at import, and only a debugger that nobody turns on needs it.
_CPUINFO = "def get_cpu_info():\n    return {}\n"


def quick(folder):
    """Environment for a process that imports runpod without its slowest import."""
    (folder / "cpuinfo.py").write_text(_CPUINFO)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("RUNPOD_")}
    return {**clean, "PYTHONPATH": str(folder)}


def drive(handler, jobs, scratch):
    """Return {"stream": [...], "post": ... | None} of each job, run in one fresh process."""
    answers = scratch / "answers.json"
    done = subprocess.run(
        [sys.executable, __file__, handler.name, str(answers)],
        cwd=handler.parent,
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        env=quick(scratch),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(answers.read_text())


def test_input(handler, job, scratch):
    """Return the exit code of `python handler.py --test_input JOB`."""
    done = subprocess.run(
        [sys.executable, handler.name, "--test_input", json.dumps(job)],
        cwd=handler.parent,
        capture_output=True,
        env=quick(scratch),
        check=False,
    )
    return done.returncode


async def _serve(config, jobs):
    from runpod.serverless.modules import rp_http, rp_job

    sent = []

    async def transmit(_session, url, data):
        await asyncio.sleep(0)
        sent.append((url, json.loads(data)))

    rp_http._transmit = transmit
    found = []
    for job in jobs:
        sent.clear()
        session = types.SimpleNamespace(headers={})
        await rp_job.handle_job(session, {**config, "rp_args": {}}, job)
        stream = [data["output"] for url, data in sent if "/stream/" in url]
        posts = [data for url, data in sent if "/done/" in url]
        found.append({"stream": stream, "post": posts[-1] if posts else None})
    return found


def _main(handler, answers):
    jobs = json.load(sys.stdin)
    os.environ["RUNPOD_WEBHOOK_POST_OUTPUT"] = "http://host/done/$ID?x=1"
    os.environ["RUNPOD_WEBHOOK_POST_STREAM"] = "http://host/stream/$ID?x=1"
    import runpod

    def start(config):
        Path(answers).write_text(json.dumps(asyncio.run(_serve(config, jobs))))

    runpod.serverless.start = start
    sys.argv = [handler]
    sys.path[0] = str(Path.cwd())
    runpy.run_path(handler, run_name="__main__")


if __name__ == "__main__":
    _main(*sys.argv[1:])
