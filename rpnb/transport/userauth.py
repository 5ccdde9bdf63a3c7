"""The client's side of an SSH login (RFC 4252 and 4256): one request, one reply.

In place of paramiko's: that one asks a person from its reading thread and for 30 s
at most, sends no query before a signature, keeps the server's list of methods to
itself and asks for the service anew with each key.
"""

from __future__ import annotations

import functools
import queue
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import paramiko
from paramiko.common import (
    MSG_SERVICE_ACCEPT,
    MSG_USERAUTH_BANNER,
    MSG_USERAUTH_FAILURE,
    MSG_USERAUTH_INFO_REQUEST,
    MSG_USERAUTH_SUCCESS,
    cMSG_SERVICE_REQUEST,
    cMSG_USERAUTH_INFO_RESPONSE,
    cMSG_USERAUTH_REQUEST,
)

from .keys import PublicKey
from .text import plain
from .wire import Reader

# PK_OK, PASSWD_CHANGEREQ and INFO_REQUEST share this number: the method says which it is.
_QUESTION = MSG_USERAUTH_INFO_REQUEST
# As long as sshd itself waits (LoginGraceTime): a reverse look-up, a directory service or
# the push to somebody's phone may take most of it.
_REPLY_SECONDS = 120.0

_RSA = ("rsa-sha2-512", "rsa-sha2-256")
# A host that asks more often only keeps us busy.
_MOST_QUESTIONS = 50

Sign = Callable[[bytes, str], bytes]
T = TypeVar("T")


class NoAlgorithm(Exception):
    """The server takes no signature that such a key can make."""


class Reply(NamedTuple):
    """What a server answered, and by which methods the login may go on."""

    is_accepted: bool = False
    is_partial: bool = False
    methods: tuple[str, ...] = ()


class Question(NamedTuple):
    """What a server wants to be told: its instructions, and prompts with whether to show."""

    text: str
    prompts: list[tuple[str, bool]]


class UserAuth:
    """A login on `transport`, paramiko's, as `user`; every method waits for the server's reply.

    They raise EOFError where the connection ends meanwhile, TimeoutError where
    nothing comes. `said` is what the server wants to be read.
    """

    def __init__(self, transport: Any, user: str, hear: Callable[[str], None]) -> None:
        self._transport, self._user, self._hear = transport, user, hear
        self._replies: queue.SimpleQueue[tuple[int, bytes] | None] = queue.SimpleQueue()
        self._is_open = self._is_accepted = False
        self.said = ""
        transport.auth_handler = self

    def none(self) -> Reply:
        """Ask to be let in without any proof: tells the methods there are."""
        return _reply(self._request("none"))

    def refuses(self, key: PublicKey) -> Reply | None:
        """Return the refusal of a key that was only shown, None where a signature is awaited.

        Raises:
            NoAlgorithm: as for `publickey`.
        """
        algorithm = self._algorithm(key.kind)
        kind, body = self._request("publickey", False, algorithm, key.blob)
        return None if kind == _QUESTION else _reply((kind, body))

    def publickey(self, key: PublicKey, sign: Sign) -> Reply:
        """Prove to have the private half of `key`.

        Raises:
            NoAlgorithm: there is none in common.
        """
        algorithm = self._algorithm(key.kind)
        request = self._message("publickey", True, algorithm, key.blob)
        signed = paramiko.Message()
        signed.add_string(self._transport.session_id)
        request.add_string(sign(signed.asbytes() + request.asbytes(), algorithm))
        return _reply(self._send(request))

    def password(self, password: str) -> Reply | None:
        """Give a password; None where the server wants it changed first."""
        kind, body = self._request("password", False, password)
        return None if kind == _QUESTION else _reply((kind, body))

    def interactive(self, answer: Callable[[Question], list[str] | None]) -> Reply | None:
        """Let `answer` reply to what the server asks; None where it does not."""
        kind, body = self._request("keyboard-interactive", "", "")
        for _ in range(_MOST_QUESTIONS):
            if kind != _QUESTION:
                break
            answers = answer(_question(body))
            if answers is None:
                return None
            response = paramiko.Message()
            response.add_byte(cMSG_USERAUTH_INFO_RESPONSE)
            response.add_int(len(answers))
            for each in answers:
                response.add_string(each)
            kind, body = self._send(response)
        return _reply((kind, body))

    @property
    def last_words(self) -> str:
        """What the server said as it hung up, if it did."""
        return str(self._transport.last_words)

    # What paramiko asks of the handler of a login:

    def is_authenticated(self) -> bool:
        """Whether the server let us in."""
        return self._is_accepted

    def abort(self) -> None:
        """Wake who waits for a reply: the connection has ended."""
        self._replies.put(None)

    @property
    def _handler_table(self) -> dict[int, Callable[[paramiko.Message], None]]:
        kinds = (MSG_SERVICE_ACCEPT, MSG_USERAUTH_FAILURE, MSG_USERAUTH_BANNER, _QUESTION)
        return {
            **{kind: functools.partial(self._take, kind) for kind in kinds},
            MSG_USERAUTH_SUCCESS: self._take_success,
        }

    def _take(self, kind: int, message: paramiko.Message) -> None:
        self._replies.put((kind, message.get_remainder()))

    def _take_success(self, message: paramiko.Message) -> None:
        self._is_accepted = True
        self._transport._auth_trigger()
        self._take(MSG_USERAUTH_SUCCESS, message)

    def _algorithm(self, kind: str) -> str:
        if "rsa" not in kind:
            return kind
        # One kind of key, several ways to sign with it; a server of before 2016 names none.
        taken = self._transport.server_extensions.get("server-sig-algs", b"").decode()
        for name in _RSA:
            if not taken or name in taken.split(","):
                return kind.replace("ssh-rsa", name)
        raise NoAlgorithm("the server takes no RSA signature but SHA-1's, which is not safe")

    def _request(self, method: str, *fields: bool | str | bytes) -> tuple[int, bytes]:
        return self._send(self._message(method, *fields))

    def _message(self, method: str, *fields: bool | str | bytes) -> paramiko.Message:
        message = paramiko.Message()
        message.add_byte(cMSG_USERAUTH_REQUEST)
        for field in (self._user, "ssh-connection", method, *fields):
            if isinstance(field, bool):
                message.add_boolean(field)
            else:
                message.add_string(field)
        return message

    def _send(self, message: paramiko.Message) -> tuple[int, bytes]:
        if not self._is_open:
            service = paramiko.Message()
            service.add_byte(cMSG_SERVICE_REQUEST)
            service.add_string("ssh-userauth")
            self._transport._send_user_message(service)
            self._await()
            self._is_open = True
        self._transport._send_user_message(message)
        return self._await()

    def _await(self) -> tuple[int, bytes]:
        deadline = time.monotonic() + _REPLY_SECONDS
        while time.monotonic() < deadline:
            try:
                reply = self._replies.get(timeout=0.5)
            except queue.Empty:
                # It may have ended before it knew of us.
                if self._transport.is_active():
                    continue
                reply = None
            if reply is None:
                raise EOFError("the connection ended during the login")
            if reply[0] != MSG_USERAUTH_BANNER:
                return reply
            # A legal notice, or what to do while one waits: a page to open in a browser.
            self.said = plain(_reading(reply[1], Reader.text))
            self._hear(" · ".join(self.said.split("\n")))
        raise TimeoutError(_REPLY_SECONDS)


def _reply(answer: tuple[int, bytes]) -> Reply:
    kind, body = answer
    if kind == MSG_USERAUTH_SUCCESS:
        return Reply(is_accepted=True)
    if kind != MSG_USERAUTH_FAILURE:
        raise paramiko.SSHException(f"message {kind} where the login's reply was due")
    return _reading(body, _refusal)


def _refusal(reader: Reader) -> Reply:
    methods = plain(reader.text()).split(",")
    return Reply(False, reader.boolean(), tuple(filter(None, methods)))


def _question(body: bytes) -> Question:
    return _reading(body, _asked)


def _asked(reader: Reader) -> Question:
    name, instruction, _language = reader.text(), reader.text(), reader.string()
    prompts = [(plain(reader.text()), reader.boolean()) for _ in range(reader.uint32())]
    lines = (plain(name).strip(), plain(instruction).strip())
    return Question("\n".join(filter(None, lines)), prompts)


def _reading(body: bytes, read: Callable[[Reader], T]) -> T:
    try:
        return read(Reader(body))
    except ValueError as error:
        raise paramiko.SSHException(f"a message of the login is broken: {error}") from error
