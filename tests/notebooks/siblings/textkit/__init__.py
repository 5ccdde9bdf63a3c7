from .words import STOP


def clean(text):
    return [word.strip(",.").lower() for word in text.split()]
