from pathlib import Path


def vocabulary():
    """The known words, from the data file beside this module."""
    return set((Path(__file__).parent / "vocabulary.txt").read_text().split())
