"""What is shown of a text from the target: nothing in it steers a terminal or a page."""

from __future__ import annotations

import re

from ..transport.text import harmless

# Colours, and "erase the rest of the line", which progress bars use; nothing else that
# begins with an escape: titles, links, the clipboard, the cursor.
_COLOUR = r"\x1b\[[0-9;:]{0,40}[mK]"
# Bidirectional marks make a line read as another one.
_STEERING = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
_PARTS = re.compile(f"({_COLOUR})|[{_STEERING}]")
_BEGUN = re.compile(r"\x1b(?:\[[0-9;:]{0,40})?\Z")
_IN_LOGS = "\b\r"


def line(text: str) -> str:
    """Return a text as one line."""
    return clean(text).replace("\n", " ").replace("\t", " ")


def clean(text: str) -> str:
    """Return a text without control characters other than its line ends and tabs."""
    return harmless(re.sub(_COLOUR, "", text))


def escaped(text: str) -> str:
    """Return JSON that means the same, its control characters written as in JSON."""
    return re.sub(f"[{_STEERING}]", lambda match: f"\\u{ord(match.group()):04x}", text)


class LogText:
    """A log as it comes: colours and progress bars stay, other control is made visible."""

    def __init__(self) -> None:
        self._begun = ""

    def read(self, text: str) -> str:
        """Return what may be shown of the next piece; a sequence cut in two waits for its rest."""
        text = self._begun + text
        cut = _BEGUN.search(text)
        self._begun = cut.group() if cut else ""
        return _PARTS.sub(_visible, text[: cut.start()] if cut else text)


def _visible(match: re.Match[str]) -> str:
    found = match.group()
    if match.group(1) or found in _IN_LOGS:
        return found
    return chr(0x2400 + ord(found)) if found < " " else "\ufffd"
