"""A byte stream to the agent, and commands on its machine: here or over SSH.

`open_transport` is the entrance; `stream` says what it gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import BadTarget
from .targets import Kind, Target, parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stream import Ask, AskSecret, Transport


def open_transport(
    target: Target | str,
    *,
    ask: Ask | None = None,
    accept_key: str | None = None,
    ask_secret: AskSecret | None = None,
    tell: Callable[[str], None] | None = None,
) -> Transport:
    """Return an open transport to `target`; the caller closes it.

    `ask` answers whether to accept an unknown host key; `ask_secret` gives what a
    login takes: a passphrase, a password, a code. `accept_key` is a fingerprint
    (`SHA256:…`) that is accepted unasked. What nobody can answer is an error that
    says how. `tell` hears what a host says while one waits for it.

    Raises:
        TargetError: one of its leaves, named by what is in the way.
    """
    place = parse(target) if isinstance(target, str) else target
    if place.kind is Kind.LOCAL:
        from .local import LocalTransport

        return LocalTransport(place)
    if place.kind is Kind.POD:
        raise BadTarget(
            f"{place.text}: finding a pod by its id or name comes later. The console's Connect page"
            " has its line ('SSH over exposed TCP'): %runpod_connect ssh root@IP -p PORT"
        )
    from .asking import Person, or_askpass
    from .ssh import SshTransport

    return SshTransport.open(place, Person(ask, or_askpass(ask_secret), accept_key, tell))
