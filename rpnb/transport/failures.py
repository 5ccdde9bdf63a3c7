"""The one seam where what paramiko and sockets raise becomes ours.

By name, so that this module does not load paramiko; the most specific name in
the exception's ancestry decides. A test walks paramiko's list.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ..errors import (
    BadTarget,
    CannotReach,
    HostKeyChanged,
    LinkLost,
    LoginRefused,
    RpnbError,
    TargetError,
)
from .settings import Settings
from .text import plain

# While connecting. Once connected every one of them means that the link is lost.
MEANING: dict[str, type[TargetError]] = {
    "SSHException": CannotReach,
    "AuthenticationException": LoginRefused,
    "PasswordRequiredException": LoginRefused,
    "BadAuthenticationType": LoginRefused,
    "PartialAuthentication": LoginRefused,
    "UnableToAuthenticate": LoginRefused,
    "ChannelException": CannotReach,
    "BadHostKeyException": HostKeyChanged,
    "IncompatiblePeer": CannotReach,
    "ProxyCommandFailure": CannotReach,
    "NoValidConnectionsError": CannotReach,
    "CouldNotCanonicalize": BadTarget,
    "ConfigParseError": BadTarget,
    "MessageOrderError": CannotReach,
}

# paramiko's words for a peer that does not begin as an SSH server does.
_BANNER = "Error reading SSH protocol banner"


@contextmanager
def connecting(settings: Settings, words: Callable[[], str] = str) -> Iterator[None]:
    """Turn what is raised inside into the reason why `settings` cannot be reached.

    `words` gives what a ProxyCommand said of it.
    """
    try:
        yield
    except RpnbError:
        raise
    except Exception as error:
        ours = _while_connecting(error, settings, words)
        if ours is None:
            raise
        raise ours from error


@contextmanager
def connected(label: str) -> Iterator[None]:
    """Turn what is raised inside into `LinkLost`."""
    try:
        yield
    except RpnbError:
        raise
    except Exception as error:
        if not (isinstance(error, (OSError, EOFError)) or _known(error)):
            raise
        raise LinkLost(f"the connection to {label} ended: {said(error)}") from error


def _while_connecting(
    error: Exception, settings: Settings, words: Callable[[], str]
) -> TargetError | None:
    kind = CannotReach if isinstance(error, (OSError, EOFError)) else _known(error)
    if kind is CannotReach:
        last_words = words()
        proxy = f" Its ProxyCommand says: {last_words}" if last_words else ""
        return CannotReach(
            f"cannot reach {settings.target.label}: {_why(error, settings)}.{proxy} Is the pod"
            f" running? '{settings.target.command} true' should work here first."
        )
    return None if kind is None else kind(f"{settings.target.label}: {said(error)}")


def _known(error: BaseException) -> type[TargetError] | None:
    for ancestor in type(error).__mro__:
        if ancestor.__name__ in MEANING:
            return MEANING[ancestor.__name__]
    return None


def _why(error: BaseException, settings: Settings) -> str:
    if isinstance(error, socket.gaierror):
        return f"{settings.host} is neither an alias in ~/.ssh/config nor a name that is known here"
    if isinstance(error, TimeoutError):
        # Ours says how long it was; socket's own says other things.
        given = error.args[0] if error.args else None
        seconds = given if isinstance(given, float) else settings.timeout
        return f"{settings.address} did not answer within {seconds:.0f} s"
    if isinstance(error, ConnectionRefusedError):
        return f"{settings.address} refused the connection: nothing listens there"
    if isinstance(error, (EOFError, ConnectionResetError)):
        return f"{settings.address} ended the connection before the login"
    if _BANNER in str(error):
        return f"{settings.address} ended the connection, or is no SSH server"
    return f"{settings.address}: {said(error)}"


def said(error: BaseException) -> str:
    """Return an error's own words, a host's among them made harmless."""
    # A ChannelException has the server's words in `text`.
    text = error.strerror if isinstance(error, OSError) else getattr(error, "text", str(error))
    return plain(text or str(error) or type(error).__name__).strip().rstrip(".")
