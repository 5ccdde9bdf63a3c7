"""Programs for the tests of the export, made as the builder makes them."""

import hashlib

from rpnb.program.cells import Cell
from rpnb.program.steps import Origin, Program

HANDLER = """\
def handler(job):
    return job["input"]


if __name__ == "__main__":
    import runpod

    runpod.serverless.start({"handler": handler})
"""


def program(text=HANDLER, files=None, **fields):
    """A program whose text is one handler cell, with these files beside it."""
    blobs = {hashlib.sha256(data).hexdigest(): data for data in (files or {}).values()}
    cell = Cell("c1", "handler", "", "cell 3", text, 2)
    return Program(
        text=text,
        origins=(Origin(1, text.count("\n"), "c1", 2),),
        cells=(*fields.pop("setups", ()), cell),
        files={
            name: (hashlib.sha256(data).hexdigest(), len(data))
            for name, data in (files or {}).items()
        },
        blobs=blobs,
        **{"handler": "handler", **fields},
    )
