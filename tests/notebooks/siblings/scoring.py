"""How much a list of words is worth."""

from textkit.words import WEIGHT


def score(words):
    return sum(len(word) for word in words) * WEIGHT
