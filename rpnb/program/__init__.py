"""Cells become a program: identity, provenance, capture, pickling, one text.

`cells` says what a remote cell is, `names` and `capture` how a name of the
person's own notebook travels, `build` makes the `Program` that the worker runs
and the export writes. Nothing here knows a network or Jupyter.
"""
