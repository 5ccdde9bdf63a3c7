"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Source = Annotated[
    Path, typer.Argument(metavar="NOTEBOOK|handler.py", help="A notebook, or a handler file.")
]
Target = Annotated[
    str | None,
    typer.Option(
        "--target",
        help="Where it runs: local, HOST, user@host:port, or a pasted ssh command. "
        "Else RPNB_TARGET, else [tool.rpnb] target in pyproject.toml.",
    ),
]
AcceptKey = Annotated[
    str | None,
    typer.Option("--accept-key", metavar="SHA256:…", help="The host key to accept."),
]
Python = Annotated[
    str | None, typer.Option("--python", metavar="P", help="The target's Python to use.")
]
Gpu = Annotated[
    str | None, typer.Option("--gpu", metavar="N[,M]", help="The GPUs the worker may see.")
]
