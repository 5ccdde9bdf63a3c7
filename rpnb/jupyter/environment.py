"""`%runpod_env`: secrets taken from here and stored nowhere, plain settings in the program."""

from __future__ import annotations

import contextlib
import importlib
import os
from typing import TYPE_CHECKING

from ..errors import BadInput
from .connecting import ask_secret, attached
from .screen import CellScreen

if TYPE_CHECKING:
    from ..program.options import Options
    from .notebook import Notebook


def set_env(notebook: Notebook, options: Options) -> None:
    """Take secrets from here, and plain settings into the program.

    Raises:
        BadInput: a secret was typed with its value, or is nowhere to be had.
    """
    from ..program.credentials import is_secret_name, looks_secret

    secrets = dict[str, str]()
    for word in options.words:
        name, equals, value = word.word.partition("=")
        if not name.isidentifier():
            raise BadInput(f"{name!r} is no name of a variable", options.line, word.position)
        if equals and (is_secret_name(name) or looks_secret(value)):
            message = f"this would be saved in the notebook: write %runpod_env {name} alone"
            raise BadInput(message, options.line, word.position)
        if equals:
            notebook.set(name, value)
        else:
            secrets[name] = _secret(notebook, name)
    if secrets:
        session = attached(notebook)
        session.set_env(secrets)
        place = (session.target.text, session.worker)
        notebook.secrets[place] = {**notebook.secrets.get(place, {}), **secrets}
    taken = [f"{name} taken from here, not stored" for name in secrets]
    plain = [f"{name} is part of the program" for name in notebook.env if name not in secrets]
    line = (notebook.target, "environment", " · ".join([*taken, *plain]))
    CellScreen(notebook.shell).lead(line)


def _secret(notebook: Notebook, name: str) -> str:
    """The value from the environment, the keyring, or a prompt that shows no letters."""
    value = os.environ.get(name) or _from_keyring(name)
    if value:
        return value
    ask = ask_secret(notebook.shell)
    # A pipe instead of a person ends at once.
    with contextlib.suppress(EOFError):
        if ask is not None:
            return str(ask(f"{name}: "))
    raise BadInput(
        f"{name} is not in the environment here, and nobody can be asked: set it where this "
        f"notebook is started (export {name}=…)"
    )


def _from_keyring(name: str) -> str | None:
    try:
        keyring = importlib.import_module("keyring")
    except ImportError:
        return None
    found = keyring.get_password("rpnb", name)
    return str(found) if found else None
