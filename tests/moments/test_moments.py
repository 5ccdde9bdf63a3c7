"""The three moments at the end of interface.md, each through a real kernel.

Slow, all of them: each starts a kernel, an agent and a worker; the first also
installs RunPod's SDK where nothing is installed.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.jupyter.kernels import Kernel

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

# A big enough model to be named, and slow enough to load to be missed.
SETUP = """%%runpod_setup model
import time
time.sleep(1.0)
pipe = bytearray(69_000_000)
"""
HANDLER = """%%runpod_handler --input {"prompt": "a red fox"}
def handler(job):
    return {"text": job["input"]["prompt"] + " VERSION", "size": len(pipe)}
"""


def write_notebook(path, cells):
    """Save cells, (id, source), as a front end does before it runs them."""
    import nbformat

    book = nbformat.v4.new_notebook()
    for cell_id, source in cells:
        book.cells.append(nbformat.v4.new_code_cell(source, id=cell_id))
    nbformat.write(book, path)


@pytest.fixture
def start_kernel(tmp_path):
    """Start a kernel for tmp_path/book.ipynb; the next one is a kernel restart."""
    kernels = []

    def start(**environment):
        for kernel in kernels:
            kernel.close()
        kernels.clear()
        environment.setdefault("JPY_SESSION_NAME", tmp_path / "book.ipynb")
        environment.setdefault("XDG_STATE_HOME", tmp_path / "state")
        kernel = Kernel(tmp_path, environment)
        kernels.append(kernel)
        return kernel

    yield start
    for kernel in kernels:
        kernel.run("%runpod_stop")
        kernel.close()


def fake_gpu(folder):
    """A machine's `nvidia-smi`, for one that has no GPU."""
    program = folder / "nvidia-smi"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text("#!/bin/sh\necho '0, GPU-1, NVIDIA RTX 4090, 531, 24564'\n")
    program.chmod(0o755)
    return folder


def index_is_reachable():
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", os.devnull]
    done = subprocess.run([*command, "runpod"], capture_output=True, text=True)
    # /dev/null is no folder: reaching the point where pip writes to it is enough.
    return "No matching distribution" not in done.stderr and "Could not" not in done.stderr


@pytest.mark.ssh
def test_pasted_line_names_the_gpu_and_a_handler_answers(sshd, tmp_path, start_kernel):
    """An empty home, a Python with nothing installed, and the console's ssh line."""
    if not index_is_reachable():
        pytest.skip("no package index: the first connection installs RunPod's SDK from one")
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", str(bare)], check=True)
    home = tmp_path / "home"
    home.mkdir()
    key = sshd.account(
        "moment",
        {
            "HOME": str(home),
            "PATH": f"{bare}/bin:{fake_gpu(tmp_path / 'gpu')}:/usr/bin:/bin",
            **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
        },
    )
    kernel = start_kernel()
    kernel.run("%load_ext rpnb", "c0")
    said = kernel.run(f"%runpod_connect {sshd.target_of(key)}", "c1", timeout=280)
    assert said.error is None, said.text
    assert re.search(
        r"127\.0\.0\.1 │ Python \S+ · runpod \S+ · NVIDIA RTX 4090 2\d GB │ worker ready in "
        r"[\d.]+ s",
        said.text,
    ), said.text
    answer = kernel.run(HANDLER.replace("len(pipe)", "1"), "c2")
    assert "a red fox VERSION" in answer.text, answer.text
    assert Path(home / ".cache/rpnb").is_dir()


def test_edited_line_answers_with_the_model_kept_and_a_restart_reruns_nothing(
    target, tmp_path, start_kernel
):
    cells = [("c2", SETUP), ("c3", HANDLER)]
    write_notebook(tmp_path / "book.ipynb", cells)
    connect = f"%load_ext rpnb\n%runpod_connect {target.text} --python {sys.executable}"
    kernel = start_kernel()
    assert kernel.run(connect, "c1").error is None
    assert re.match(
        r"\S+ │ setup model │ ran \d+\.\d s │ pipe 69 MB", kernel.run(*_of(cells[0])).line
    )
    kernel.run(*_of(cells[1]))

    assert any(_edited(kernel, scene) < 1.0 for scene in ("in fog", "in rain", "in snow")), (
        "the model was not loaded again; a busy machine may be late once"
    )
    assert _edited(kernel, "in the sun")
    assert any(_restarted(start_kernel(), connect) < 1.0 for _ in range(3)), "under a second"


def _edited(kernel, scene):
    """Edit the handler and run it; return the seconds that its line tells."""
    edited = kernel.run(HANDLER.replace("VERSION", scene), "c3")
    assert f"a red fox {scene}" in edited.text
    line = re.match(
        # Set-up is named from 0.05 s on, which a busy machine takes to define a handler.
        r"\S+ │ handler │ ✓ ([\d.]+) s \(link [\d.]+ · (?:set-up [\d.]+ · )?handler [\d.]+\) │ "
        r"pipe kept \(69 MB\) · re-ran handler │ input: --input",
        edited.line,
    )
    assert line, edited.line
    return float(line.group(1))


def _restarted(kernel, connect):
    """Run all in a kernel that was restarted; return the seconds that the cells take."""
    assert kernel.run(connect, "c1").error is None
    began = time.monotonic()
    again = kernel.run(SETUP, "c2")
    answer = kernel.run(HANDLER.replace("VERSION", "in the sun"), "c3")
    seconds = time.monotonic() - began
    assert re.match(r"\S+ │ setup model │ unchanged │ pipe kept \(69 MB, loaded", again.line)
    assert "a red fox in the sun" in answer.text
    assert "pipe kept (69 MB)" in answer.line
    assert "re-ran" not in answer.line
    return seconds


def test_export_is_verified_in_a_fresh_process_and_runs_by_itself(target, tmp_path, start_kernel):
    setup = "%%runpod_setup model\nlexicon = {'fox': 'Fuchs'}"
    helper = "def look_up(word):\n    return lexicon_of().get(word, word)"
    handler = """%%runpod_handler
def lexicon_of():
    return lexicon


def handler(job):
    return {"word": look_up(job["input"]["word"])}
"""
    cells = [("c2", setup), ("c3", helper), ("c4", handler)]
    write_notebook(tmp_path / "book.ipynb", cells)
    kernel = start_kernel()
    kernel.run(f"%load_ext rpnb\n%runpod_connect {target.text} --python {sys.executable}", "c1")
    for cell in cells:
        assert kernel.run(*_of(cell)).error is None
    for word in ("fox", "hare", "owl"):
        assert kernel.run(f'%runpod_run {{"word": "{word}"}}').error is None
    said = kernel.run("%runpod_export --verify", timeout=120)
    assert re.search(
        r"wrote handler\.py \(\d+ lines, 1 set-up step, handler, start\) │ "
        r"verified: 3 of 3 recorded jobs equal in a fresh process \(cold start [\d.]+ s\)",
        said.text,
    ), said.text

    text = (tmp_path / "handler.py").read_text()
    assert helper in text
    assert text.rstrip().endswith('runpod.serverless.start({"handler": handler})')
    job = json.dumps({"input": {"word": "fox"}})
    done = subprocess.run(
        [sys.executable, "handler.py", "--test_input", job],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "{'word': 'Fuchs'}" in done.stdout
    wrong = subprocess.run(
        [sys.executable, "handler.py", "--test_input", '{"input": {}}'], cwd=tmp_path
    )
    assert wrong.returncode == 1


def _of(cell):
    cell_id, source = cell
    return source, cell_id
