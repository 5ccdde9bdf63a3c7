"""What a host says, before a person sees it."""

from __future__ import annotations

import re

# As much as a person would read.
_MOST_CHARACTERS = 1000
# Control characters but the ends of lines and tabs, and what turns or hides text.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def harmless(text: str) -> str:
    """Return `text` without what could steer a terminal or a page."""
    return _STEERING.sub("", text)


def plain(text: str) -> str:
    """Return what is harmless in `text`, and not more of it than a message holds."""
    return harmless(text)[:_MOST_CHARACTERS].strip("\n")
