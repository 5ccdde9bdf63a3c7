"""The agent as it travels: one zip of the rooms that run on the target.

Inside it the package is called `_rpnb`, so that neither a person's own rpnb on
the target nor the name `rpnb` in their code can meet it.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Iterator

PRIVATE_NAME = "_rpnb"
TRAVELS = ("errors.py", "protocol", "planner", "agent")

# Parsed by whatever answers to "python" on the target, so it keeps to syntax
# that Python 2 reads: an old one must end in a sentence, not in a SyntaxError.
_MAIN = b"""\
import sys

if sys.version_info < (3, 9):
    found = "%d.%d.%d" % tuple(sys.version_info[:3])
    sys.stdout.write(
        '{"error": {"type": "NoPython", "message": "the agent needs Python 3.9 or newer; '
        '%s is %s"}}\\n' % (sys.executable.replace("\\\\", "/").replace('"', "'"), found)
    )
    sys.exit(1)
if not sys.platform.startswith("linux"):
    sys.stdout.write(
        '{"error": {"type": "CannotPrepare", "message": "the agent runs on Linux; this machine '
        'has %s: connect to a Linux machine, or to a container on this one"}}\\n' % sys.platform
    )
    sys.exit(1)

from _rpnb.agent.__main__ import main

sys.exit(main())
"""
_INIT = b'"""rpnb\'s agent. Sent by rpnb; kept under its own name."""\n'


@lru_cache(maxsize=1)
def pack() -> tuple[bytes, str]:
    """Return the agent as a zipapp, and the 12 hex digits that name it.

    The digits depend on the files alone: any Python and any zlib that packs the
    same rpnb gets the same ones, so an agent that is there is never sent twice.
    """
    files = dict(sorted(_files()))
    digest = hashlib.sha256()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            digest.update(b"%s\0%d\0" % (name.encode(), len(content)) + content)
            # ZipInfo's default date is the zip format's first day: no clock in it.
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 9)
    return packed.getvalue(), digest.hexdigest()[:12]


def _files() -> Iterator[tuple[str, bytes]]:
    yield "__main__.py", _MAIN
    yield f"{PRIVATE_NAME}/__init__.py", _INIT
    package = Path(__file__).parents[1]
    for name in TRAVELS:
        yield from _sources(package / name, f"{PRIVATE_NAME}/{name}")


def _sources(entry: Path, name: str) -> Iterator[tuple[str, bytes]]:
    if entry.is_dir():
        for child in entry.iterdir():
            yield from _sources(child, f"{name}/{child.name}")
    elif name.endswith(".py"):
        yield name, entry.read_bytes()
