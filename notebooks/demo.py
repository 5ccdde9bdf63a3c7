"""`make demo`: execute the quickstart here, then prove the handler.py it wrote.

Leaves in `notebooks/out/`: the executed notebook, the handler, the answer as JSON,
the picture with boxes. Exits with 1 where a cell fails or the answers differ.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from rpnb.session import bootstrap
from rpnb.transport import open_transport
from rpnb.transport.targets import parse

FOLDER = Path(__file__).resolve().parent
NOTEBOOK = FOLDER / "quickstart.ipynb"
OUT = FOLDER / "out"
HANDLER = OUT / "handler.py"

# Asked of the kernel after the handler cell: what went in, and what came out.
ANSWER = "import json as _json; print(_json.dumps(_result.to_dict()))"
INPUT = "import json as _json; print(_json.dumps({expression}))"
TEST_MAGIC = "%%runpod_test"
# Linux takes no longer single argument.
ARGUMENT_BYTES = 128 * 1024


@dataclass
class Run:
    """What the demo saw: the test's input, and the handler's result on it."""

    input: Any = None
    result: dict[str, Any] = field(default_factory=dict)


def main() -> int:
    """Run the demo; return the exit status."""
    OUT.mkdir(exist_ok=True)
    HANDLER.unlink(missing_ok=True)
    os.environ["JPY_SESSION_NAME"] = str(NOTEBOOK)
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    print(f"{show(NOTEBOOK)}: {count(notebook)} cells, on this machine")
    try:
        with own_home():
            run = execute(notebook)
    except CellExecutionError as error:
        print(f"\nthe cell failed: {error.ename}: {error.evalue}")
        return 1
    finally:
        nbformat.write(notebook, OUT / NOTEBOOK.name)  # type: ignore[no-untyped-call]
    picture = save_picture(notebook)
    (OUT / "result.json").write_text(json.dumps(run.result, indent=2, ensure_ascii=False) + "\n")
    same, text = prove(run)
    report(run, picture, text)
    return 0 if same else 1


@contextlib.contextmanager
def own_home() -> Iterator[None]:
    """Keep the demo's worker and memory apart from the person's own; end both with the demo."""
    with tempfile.TemporaryDirectory(prefix="rpnb-demo-", ignore_cleanup_errors=True) as home:
        os.environ["RPNB_HOME"] = home
        os.environ["XDG_STATE_HOME"] = f"{home}/state"
        try:
            yield
        finally:
            here = open_transport(parse("local"))
            for row in bootstrap.census(here)["workers"]:
                bootstrap.stop(here, row["worker"])


def execute(notebook: Any) -> Run:
    """Execute every cell in a fresh kernel, a line for each; return what the handler did."""
    client = NotebookClient(notebook, kernel_name="python3", timeout=600, resources=at(FOLDER))
    # Errors only: ipykernel 7 warns of each start over TCP, on the loopback, too.
    client.extra_arguments = ["--IPKernelApp.log_level=40"]
    run, number = Run(), 0
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type != "code":
                continue
            number += 1
            title = cell.source.splitlines()[0][:58]
            print(f"[{number:2}/{count(notebook)}] {title:60}", end="", flush=True)
            started = time.monotonic()
            client.execute_cell(cell, index)
            print(f"{time.monotonic() - started:6.1f} s")
            look(client, cell, run)
    return run


def look(client: NotebookClient, cell: Any, run: Run) -> None:
    """Ask the kernel for the input after the test cell, for the result after the handler cell."""
    if cell.source.startswith(TEST_MAGIC) and run.input is None:
        expression = ast.unparse(ast.parse(cell.source.split("\n", 1)[1]).body[-1])
        run.input = ask(client, INPUT.format(expression=expression))
    elif cell.source.startswith("%%runpod_handler"):
        run.result = ask(client, ANSWER)


def ask(client: NotebookClient, code: str) -> Any:
    """Run code in the notebook's kernel that prints JSON; the notebook does not keep it."""
    cell = nbformat.v4.new_code_cell(code)  # type: ignore[no-untyped-call]
    client.nb.cells.append(cell)
    try:
        client.execute_cell(cell, len(client.nb.cells) - 1, store_history=False)
    finally:
        client.nb.cells.pop()
    return json.loads("".join(output.get("text", "") for output in cell.outputs))


def save_picture(notebook: Any) -> Path | None:
    """Save the first picture that the notebook shows: the input with boxes."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            for mime, end in (("image/png", "png"), ("image/jpeg", "jpg")):
                if mime in data:
                    path = OUT / f"boxes.{end}"
                    path.write_bytes(base64.b64decode(data[mime]))
                    return path
    return None


def prove(run: Run) -> tuple[bool, str]:
    """Run the exported file as its own program on the same input; compare the outputs."""
    job = json.dumps({"input": run.input})
    command = [sys.executable, HANDLER.name, "--test_input", job]
    if len(job) >= ARGUMENT_BYTES:
        (OUT / "test_input.json").write_text(job)
        command = command[:2]
    done = subprocess.run(command, cwd=OUT, capture_output=True, text=True)
    for line in done.stdout.splitlines():
        _, found, shown = line.partition("Job result: ")
        if not found:
            continue
        try:
            output = ast.literal_eval(shown).get("output")
        except SyntaxError:
            return False, "the SDK cut the line with its output: the example's answer is too long"
        same = output == run.result.get("output")
        return same, "the same output" if same else f"ANOTHER output: {output}"
    return False, f"NO output (status {done.returncode}): {(done.stdout + done.stderr)[-2000:]}"


def report(run: Run, picture: Path | None, proof: str) -> None:
    """Say what was recognised, where everything lies, and whether the file agrees."""
    lines = [line["text"] for line in (run.result.get("output") or {}).get("lines", [])]
    print(f"\nrecognised   {' | '.join(lines)}")
    print(f"as JSON      {show(OUT / 'result.json')}")
    if picture is not None:
        print(f"with boxes   {show(picture)}")
    print(f"notebook     {show(OUT / NOTEBOOK.name)}")
    print(f"handler      {show(HANDLER)}")
    print(f"proof        python {show(HANDLER)} --test_input …: {proof}")


def count(notebook: Any) -> int:
    """How many cells run."""
    return sum(cell.cell_type == "code" for cell in notebook.cells)


def at(folder: Path) -> dict[str, Any]:
    """Where the kernel works, in nbclient's form."""
    return {"metadata": {"path": str(folder)}}


def show(path: Path) -> str:
    """The path as a person would type it."""
    return os.path.relpath(path)


if __name__ == "__main__":
    sys.exit(main())
