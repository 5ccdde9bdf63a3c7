import time

import pytest

from rpnb.agent import gpu

TWO = """\
0, GPU-aaaa, NVIDIA GeForce RTX 4090, 1024, 24564
1, GPU-bbbb, NVIDIA GeForce RTX 4090, 3, 24564
"""


@pytest.fixture(autouse=True)
def never_asked(monkeypatch):
    monkeypatch.setattr(gpu, "_asked_again_at", 0.0)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Puts an nvidia-smi on the PATH; it counts its calls in the file `calls`."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def put(text, tail=""):
        (tmp_path / "answer").write_text(text)
        script = tmp_path / "nvidia-smi"
        script.write_text(
            f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\ncat {tmp_path}/answer\n{tail}\n'
        )
        script.chmod(0o755)
        return tmp_path / "calls"

    return put


def test_readings_of_two_gpus_name_both(smi):
    smi(TWO)
    assert [reading["index"] for reading in gpu.readings()] == [0, 1]


def test_readings_are_in_bytes(smi):
    smi(TWO)
    assert gpu.readings()[0] == {
        "index": 0,
        "name": "NVIDIA GeForce RTX 4090",
        "used_bytes": 1 << 30,
        "total_bytes": 24564 << 20,
    }


@pytest.mark.parametrize(
    ("visible", "expected"),
    [("1", [1]), ("1,0", [0, 1]), ("GPU-b", [1]), ("", []), ("-1", []), ("7", [])],
)
def test_readings_are_of_the_visible_gpus(smi, monkeypatch, visible, expected):
    smi(TWO)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [reading["index"] for reading in gpu.readings()] == expected


def test_readings_skip_a_card_without_memory_figures(smi):
    smi("0, GPU-a, NVIDIA A100, [N/A], [N/A]\n" + TWO.splitlines()[1])
    assert [reading["index"] for reading in gpu.readings()] == [1]


@pytest.mark.parametrize("text", ["", "No devices were found\n", "a, b\n"])
def test_readings_of_no_gpu_are_empty(smi, text):
    smi(text)
    assert gpu.readings() == []


def test_readings_without_nvidia_smi_are_empty(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu.readings() == []


def test_readings_after_a_failure_ask_no_more(smi):
    calls = smi(TWO, tail="exit 9")
    assert (gpu.readings(), gpu.readings()) == ([], [])
    assert len(calls.read_text().splitlines()) == 1


def test_readings_some_time_after_a_failure_ask_again(smi, monkeypatch):
    smi(TWO, tail="exit 9")
    gpu.readings()
    smi(TWO)
    now = time.monotonic()
    monkeypatch.setattr(gpu.time, "monotonic", lambda: now + gpu._PATIENCE + 1)
    assert len(gpu.readings()) == 2


def test_readings_from_a_driver_that_hangs_end(smi, monkeypatch):
    smi(TWO, tail="exec sleep 60")
    monkeypatch.setattr(gpu, "_TIMEOUT", 0.2)
    assert gpu.readings() == []


def test_memory_of_a_dead_process_is_waited_for_until_it_falls_no_further(monkeypatch):
    used = iter([900, 500, 100, 100, 50])
    monkeypatch.setattr(gpu, "_PAUSE", 0.0)
    monkeypatch.setattr(gpu, "readings", lambda: [{"used_bytes": next(used)}])
    assert gpu.settled() == [{"used_bytes": 100}]
