"""Every sample in the documents runs, in order, in a real kernel on the `local` target.

Slow: each document gets a kernel and a worker.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import _end_processes
from tests.jupyter.kernels import Kernel

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]
ROOT = Path(__file__).parents[1]
# The wolf has no translation, and the guide shows how that looks: nothing raises.
DOCUMENTS = ["README.md", "docs/guide.md"]


def blocks(document, language):
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.S | re.M)


@pytest.fixture
def kernel(tmp_path):
    home = tmp_path / "rpnb"
    # The sample's library, as a module beside the notebook: it travels like any other.
    shutil.copy(ROOT / "tests" / "diffusers_stand_in.py", tmp_path / "diffusers.py")
    kernel = Kernel(
        tmp_path,
        {
            "RPNB_HOME": home,
            "XDG_STATE_HOME": tmp_path / "state",
            "JPY_SESSION_NAME": tmp_path / "book.ipynb",
        },
    )
    yield kernel
    kernel.close()
    _end_processes(home)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_samples_of_a_document_run_from_top_to_bottom(document, kernel):
    samples = blocks(document, "python")
    assert samples
    for number, sample in enumerate(samples):
        # The one thing a reader's machine has and this one has not.
        said = kernel.run(re.sub(r"ssh root@\S+ -p \d+", "local", sample), f"c{number}")
        assert said.error is None, f"{sample}\n{said.text}\n{said.traceback}"


def test_command_lines_of_the_guide_name_options_that_exist():
    lines = [line for block in blocks("docs/guide.md", "sh") for line in block.splitlines()]
    commands = {line.split()[1]: line for line in lines if line.startswith("rpnb ")}
    assert set(commands) == {"run", "test", "export", "ps", "stop"}
    for name, line in commands.items():
        told = subprocess.run(
            [sys.executable, "-m", "rpnb", name, "--help"], capture_output=True, text=True
        ).stdout
        missing = [
            option for option in re.findall(r"(?<= )--?[a-z]+\b", line) if option not in told
        ]
        assert not missing, (line, told)
