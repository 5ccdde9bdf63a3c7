"""One real model at a time: the peak of a reload, measured in the worker's process."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest

from tests.agent.driver import Worker, handler_program
from tests.agent.memory import can_measure, memory, peak_above
from tests.real.libraries import needing

libraries = needing("torch", "sklearn")
pytestmark = [
    pytest.mark.slow,  # torch is imported, and 300 MB are filled several times
    pytest.mark.timeout(200),
    pytest.mark.skipif(not can_measure(), reason="only Linux tells a process's peak"),
]

IMPORTS = """import torch, numpy as np, pandas as pd
from sklearn.neighbors import KNeighborsClassifier
"""
HANDLER = "\ndef handler(job):\n    m = model\n    return 1"
TORCH = "model = torch.nn.Linear(8700, 8700, bias=False, dtype=torch.float32)\nmodel.eval()"
MODELS = {
    "torch": TORCH,
    "torch in a cycle": f"{TORCH}\nmodel.__dict__['me'] = model",
    "torch that has run": f"{TORCH}\nwith torch.no_grad():\n    model(torch.ones(1, 8700))",
    "a graph of gradients": f"{TORCH}\nout = model(torch.ones(1, 8700)).sum()",
    "torch compiled": f"{TORCH}\nmodel = torch.compile(model, backend='eager')",
    "scikit-learn": (
        "x = np.random.rand(1_200_000, 32).astype('float32')\n"
        "model = KNeighborsClassifier(1, algorithm='brute').fit(x, x[:, 0] > 0.5)"
    ),
    "pandas": "model = pd.DataFrame({'a': np.full(38_000_000, 1.0, 'float64')})",
}


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    worker = Worker(tmp_path_factory.mktemp("home"))
    worker.patient()
    yield worker
    worker.close()


def _job(worker: Worker, text: str) -> None:
    body = worker.job(handler_program(IMPORTS + text + HANDLER)).body
    assert body["status"] == "COMPLETED"


def test_reload_peaks_no_higher_than_a_first_load(worker: Worker) -> None:
    """A load may take more than the model while it runs; the next takes a tenth more at most."""
    higher = {}
    for about, text in MODELS.items():
        _job(worker, "model = None")
        empty = memory(worker, "VmRSS")
        first = peak_above(worker, functools.partial(_job, worker, text))
        edited = text.replace("8700, bias", "8701, bias").replace("1.0, ", "2.0, ")
        edited = edited.replace("32).", "33).")
        assert edited != text
        peak_above(worker, functools.partial(_job, worker, edited))
        higher[about] = round((memory(worker, "VmHWM") - empty) / first, 2)
    assert {about: share for about, share in higher.items() if share > 1.1} == {}
