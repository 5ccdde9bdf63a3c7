"""The package as people get it: a wheel, installed into a clean environment."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from rpnb.session import agent

ROOT = Path(__file__).parents[1]
# Each takes a minute of pip's: `make test` takes the oldest, `make minors` every one.
PYTHONS = [
    path
    for path in sorted(Path("/root/.pyenv/versions").glob("3.*/bin/python"))
    if int(path.parts[4].split(".")[1]) >= 10
] or [Path(sys.executable)]
if "RPNB_EVERY_PYTHON" not in os.environ:
    PYTHONS = PYTHONS[:1]
NO_INDEX = ("No matching distribution", "connection", "name resolution", "timed out")

TRIAL = """
import sys, rpnb
from rpnb.session import agent
print(rpnb.__version__, agent.pack()[1], "paramiko" in sys.modules)
"""


def run(*command, **options):
    return subprocess.run([*map(str, command)], capture_output=True, text=True, **options)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    built = run(
        sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation",
        "--no-index", "-w", folder, ROOT,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    [path] = folder.glob("rpnb-*.whl")
    return path


def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.mark.slow
def test_wheel_holds_every_file_of_the_agent(wheel):
    sources = [ROOT / "rpnb" / "errors.py"]
    for room in ("protocol", "planner", "agent"):
        sources += (ROOT / "rpnb" / room).glob("*.py")
    assert {str(path.relative_to(ROOT)) for path in sources} <= names(wheel)


@pytest.mark.slow
def test_wheel_holds_the_package_and_its_licence_only(wheel):
    tops = {name.split("/")[0] for name in names(wheel)}
    assert tops == {"rpnb", wheel.name.rsplit("-", 3)[0] + ".dist-info"}
    assert any(name.endswith("licenses/LICENSE") for name in names(wheel))


@pytest.mark.slow
@pytest.mark.timeout(420)
@pytest.mark.parametrize("python", PYTHONS, ids=lambda path: path.parts[-3])
def test_install_in_a_clean_environment_works(wheel, python, tmp_path):
    """The agent that an installed rpnb packs is, byte for byte, the one of this tree."""
    env = tmp_path / "env"
    run(python, "-m", "venv", env, check=True)
    installed = run(env / "bin/python", "-m", "pip", "install", "-q", wheel)
    if installed.returncode and any(sign in installed.stderr for sign in NO_INDEX):
        pytest.skip("no package index here: rpnb's dependencies cannot be installed")
    assert installed.returncode == 0, installed.stderr
    tried = run(env / "bin/python", "-c", TRIAL, cwd=tmp_path)
    assert tried.stdout.split() == [wheel.name.split("-")[1], agent.pack()[1], "False"], (
        tried.stderr
    )
    said = run(env / "bin/rpnb", "--version")
    assert said.stdout.strip() == wheel.name.split("-")[1], said.stderr
