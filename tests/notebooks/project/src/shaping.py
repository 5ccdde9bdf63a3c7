"""How a greeting looks."""


def shape(text):
    """Return it with a capital."""
    return text[:1].upper() + text[1:]
