"""What a host or a worker says, before a person sees it: nothing steers a terminal or a page."""

from __future__ import annotations

import re

# As much as a person would read.
_MOST_CHARACTERS = 1000
# Control characters but the ends of lines and tabs.
_CONTROL = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029"
# Marks that make a line read as another one, and those that nobody sees. The joiners of
# Persian and of emoji stay.
_DECEIVING = "\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
_STEERING = _CONTROL + _DECEIVING
# Colours, and "erase the rest of the line", which progress bars use; nothing else that
# begins with an escape: titles, links, the clipboard, the cursor.
_COLOUR = r"\x1b\[[0-9;:]{0,40}[mK]"
_UNWANTED = re.compile(f"{_COLOUR}|[{_STEERING}]")
_PARTS = re.compile(f"({_COLOUR})|[{_STEERING}]")
_BEGUN = re.compile(r"\x1b(?:\[[0-9;:]{0,40})?\Z")
_IN_LOGS = "\b\r"


def harmless(text: str) -> str:
    """Return `text` without colours, and without what could steer or deceive."""
    return _UNWANTED.sub("", text)


def plain(text: str) -> str:
    """Return what is harmless in `text`, and not more of it than a message holds."""
    return harmless(text)[:_MOST_CHARACTERS].strip("\n")


def one_line(text: str) -> str:
    """Return what is harmless in `text` as one line."""
    return harmless(text).replace("\n", " ").replace("\t", " ")


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
