"""The outcome of notebooks as JUnit XML, which CI services draw."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .headless import Executed, Outcome

# XML 1.0 cannot hold these at all, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(outcomes: Sequence[Outcome], path: Path) -> None:
    """Write one suite for each notebook, one case for each of its cells.

    Raises:
        OSError: the file cannot be written.
    """
    root = ET.Element("testsuites", name="rpnb")
    for outcome in outcomes:
        root.append(_suite(outcome))
    ET.indent(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _suite(outcome: Outcome) -> ET.Element:
    skipped = sum(each.seconds is None for each in outcome.cells)
    suite = ET.Element(
        "testsuite",
        name=outcome.notebook.path.name,
        tests=str(len(outcome.cells)),
        failures=str(int(outcome.failed is not None)),
        errors="0",
        skipped=str(skipped),
        time=f"{outcome.seconds:.3f}",
    )
    for executed in outcome.cells:
        suite.append(_case(executed, outcome.notebook.path.stem))
    return suite


def _case(executed: Executed, classname: str) -> ET.Element:
    case = ET.Element(
        "testcase",
        classname=classname,
        name=executed.cell.label,
        time=f"{executed.seconds or 0:.3f}",
    )
    if executed.seconds is None:
        ET.SubElement(case, "skipped", message="an earlier cell failed")
    elif executed.error:
        failure = ET.SubElement(case, "failure", message=_plain(executed.error))
        failure.set("type", executed.kind or "Error")
        failure.text = _plain(executed.traceback)
    return case


def _plain(text: str) -> str:
    return _FORBIDDEN.sub("�", text)
