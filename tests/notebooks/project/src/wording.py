"""Words from the file beside the handler's folder."""

import pathlib

from shaping import shape

TEMPLATE = (pathlib.Path(__file__).parent.parent / "prompts" / "greeting.txt").read_text().strip()


def greet(name):
    """Return the greeting."""
    return shape(TEMPLATE.format(name=name))
