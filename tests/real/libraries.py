"""Which real libraries are here, and what to say where one is not."""

from __future__ import annotations

import importlib

import pytest

HOW_TO = "pip install -e '.[models]' brings torch, onnxruntime, scikit-learn and silero-vad"


def need(*modules: str) -> None:
    """Skip the module that asks, where one of these cannot be imported here."""
    try:
        for name in modules:
            importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - torch without its CUDA parts raises several kinds
        text = f"needs {', '.join(modules)} ({type(error).__name__}: {error}): {HOW_TO}"
        pytest.skip(text, allow_module_level=True)
