"""`make demo` with a model that needs no packages: every cell of the quickstart, and the proof."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest

pytest.importorskip("PIL")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]  # a kernel, a worker, two fresh processes
NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
# Beside the notebook it travels like any local module, and hides the real one.
MODEL = """\
from types import SimpleNamespace


class RapidOCR:
    text_det = SimpleNamespace(
        infer=SimpleNamespace(session=SimpleNamespace(get_providers=lambda: ["CPU"]))
    )

    def __call__(self, picture):
        box = [[0, 0], [9, 0], [9, 9], [0, 9]]
        return [(box, f"{len(picture)} bytes", "0.9"), (box, "noise", "0.1")], None
"""


@pytest.fixture
def demo(tmp_path, monkeypatch):
    """The demo's module, at work in a folder of its own."""
    for name in ("quickstart.ipynb", "receipt.jpg", "poster.png"):
        shutil.copy(NOTEBOOKS / name, tmp_path)
    (tmp_path / "rapidocr_onnxruntime.py").write_text(MODEL)
    # It sets these for its kernel.
    for name in ("JPY_SESSION_NAME", "RPNB_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, "")
    spec = importlib.util.spec_from_file_location("demo", NOTEBOOKS / "demo.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "demo", module)  # its dataclasses look there
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(module, "NOTEBOOK", tmp_path / "quickstart.ipynb")
    monkeypatch.setattr(module, "OUT", tmp_path / "out")
    monkeypatch.setattr(module, "HANDLER", tmp_path / "out" / "handler.py")
    return module


def test_demo_runs_every_cell_and_its_handler_gives_the_same_by_itself(demo, tmp_path, capsys):
    status = demo.main()
    said = capsys.readouterr().out
    assert status == 0, said
    size = (tmp_path / "receipt.jpg").stat().st_size
    assert f"recognised   {size} bytes\n" in said
    assert "--test_input …: the same output" in said
    out = tmp_path / "out"
    assert json.loads((out / "result.json").read_text())["status"] == "COMPLETED"
    assert (out / "boxes.png").exists() or (out / "boxes.jpg").exists()
    assert (out / "handler.py").exists()
