import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from rpnb.session import agent

PYTHONS = sorted(Path("/root/.pyenv/versions").glob("*/bin/python"))


def minor(python):
    return tuple(map(int, python.parts[4].split(".")[:2]))


@pytest.fixture
def packed(tmp_path):
    path = tmp_path / "agent.pyz"
    path.write_bytes(agent.pack()[0])
    return path


def names():
    with zipfile.ZipFile(io.BytesIO(agent.pack()[0])) as archive:
        return archive.namelist()


def test_pack_holds_the_rooms_that_travel_under_the_private_name():
    rooms = {name.split("/")[1] for name in names() if "/" in name}
    assert rooms == {"__init__.py", *agent.TRAVELS}


def test_pack_holds_python_files_only():
    assert all(name.endswith(".py") for name in names())


def test_pack_twice_gives_the_same_bytes():
    first = agent.pack()
    agent.pack.cache_clear()
    assert agent.pack() == first


def test_pack_in_another_python_gives_the_same_name():
    """The hash is of the files: zlib and zip details of the packing Python are not in it."""
    code = "from rpnb.session import agent; print(agent.pack()[1])"
    others = [
        str(path) for path in PYTHONS if path.parts[4] >= "3.10" and path.parts[4][:2] == "3."
    ]
    others = [path for path in others if int(path.split("/")[4].split(".")[1]) >= 10]
    root = Path(agent.__file__).parents[2]
    said = [
        subprocess.run([path, "-c", code], cwd=root, capture_output=True, text=True).stdout.strip()
        for path in [sys.executable, *others]
    ]
    assert set(said) == {agent.pack()[1]}


def test_pack_follows_a_change_of_one_file(monkeypatch):
    before = agent.pack()[1]
    monkeypatch.setattr(agent, "_INIT", agent._INIT + b"\n")
    agent.pack.cache_clear()
    after = agent.pack()[1]
    agent.pack.cache_clear()
    assert after != before


def test_pack_is_small_enough_to_send_at_once():
    # A quarter of a second over 10 Mbit/s, once for each version and host.
    assert len(agent.pack()[0]) < 312_500


@pytest.mark.parametrize(
    "python", [path for path in PYTHONS if minor(path) < (3, 9)], ids=lambda path: path.parts[4]
)
def test_agent_under_an_old_python_says_so_in_one_json_line(python, packed):
    run = subprocess.run([python, packed, "ps"], capture_output=True, text=True)
    assert '"type": "NoPython"' in run.stdout and python.parts[4] in run.stdout
    assert run.returncode == 1


def test_agent_on_another_system_than_linux_says_so_in_one_json_line(packed):
    code = f"import runpy, sys; sys.platform = 'darwin'; runpy.run_path({str(packed)!r})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert json.loads(run.stdout)["error"]["message"].startswith("the agent runs on Linux; ")
    assert run.returncode == 1


def test_agent_shadows_no_rpnb_of_the_person(packed):
    code = f"""
import sys
sys.path.insert(0, {str(packed)!r})
import _rpnb.errors
print("rpnb" in sys.modules)
"""
    run = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert run.stdout == "False\n"
