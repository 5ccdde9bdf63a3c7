"""A library whose star import brings a function that sets another library."""

import modelkit


def set_mode(n: int) -> None:
    """An unprobed write."""
    modelkit.seed = n
