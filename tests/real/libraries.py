"""Which real libraries are here, and what to say where one is not."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest

HOW_TO = "pip install -e '.[models]' brings torch, transformers, onnxruntime and others"


def need(*modules: str) -> None:
    """Skip the test that asks, where one of these cannot be imported here."""
    try:
        for name in modules:
            importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - torch without its CUDA parts raises several kinds
        pytest.skip(f"needs {', '.join(modules)} ({type(error).__name__}: {error}): {HOW_TO}")


def needing(*modules: str) -> Callable[[], None]:
    """Return a fixture that skips a file's tests without these; not before one of them runs.

    Imported when tests are collected, they would lie in the memory of every test process.
    """

    @pytest.fixture(scope="module", autouse=True)
    def libraries() -> None:
        need(*modules)

    return libraries
