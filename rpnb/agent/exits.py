"""The exit codes by which a worker tells the relay why it ended."""

from __future__ import annotations

# Only a fresh process can go on: it is to take the same request again.
RESTART = 75
# The process can use its GPU no more.
BROKEN = 76
