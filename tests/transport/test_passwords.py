"""Logins by what a person types: passwords, prompts, codes; asked once, kept in memory only."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rpnb.errors import CannotReach, LinkLost, LoginRefused
from rpnb.transport import userauth
from rpnb.transport.asking import is_one_time
from rpnb.transport.keys import load
from rpnb.transport.ssh import SshTransport
from rpnb.transport.text import plain
from rpnb.transport.wire import string
from tests import sshd as servers
from tests.sshd import PASSWORD, Sshd, User, make_key
from tests.transport.answers import Answers
from tests.transport.echo import Listener, bridge, echo
from tests.transport.otherserver import OtherServer, Round, Rules

pytestmark = pytest.mark.ssh

Connect = Callable[..., SshTransport]
Other = Callable[..., OtherServer]

PAM = "auth required pam_unix.so\naccount required pam_permit.so\nsession required pam_permit.so\n"


@pytest.fixture(scope="module")
def openssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A real server with users: `guest` by password, `two` by key and password, `old`'s expired."""
    yield from _server(
        tmp_path_factory.mktemp("sshd"),
        users=(User("guest"), User("two"), User("old", changed=0)),
        PasswordAuthentication="yes",
        PermitRootLogin="yes",
        Match="User two\n AuthenticationMethods publickey,password",
    )


@pytest.fixture(scope="module")
def pam(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A real server that asks through PAM, as Debian's does."""
    yield from _server(
        tmp_path_factory.mktemp("sshd"),
        users=(User("guest"),),
        pam=PAM,
        UsePAM="yes",
        KbdInteractiveAuthentication="yes",
        PermitRootLogin="yes",
    )


def _server(folder: Path, **options: object) -> Iterator[Sshd]:
    if not servers.is_available():
        pytest.skip(servers.HOW_TO_ENABLE)
    if not servers.may_have_users():
        pytest.skip(servers.NO_USERS)
    server = Sshd(folder / "one", **options)  # type: ignore[arg-type] # passed on as given
    yield server
    server.stop()


def test_password_is_asked_once_and_serves_every_redial(openssh: Sshd, connect: Connect) -> None:
    person = Answers(PASSWORD)
    transport = connect(openssh.target_of(None, "guest"), ask_secret=person)
    with_two_more = transport.again().again()
    assert with_two_more.run("echo there").stdout == "there\n"
    assert person.asked == ["Password of guest@127.0.0.1: "]
    with_two_more.close()


def test_password_that_is_wrong_is_asked_again_as_often_as_ssh_asks(
    openssh: Sshd, connect: Connect
) -> None:
    person = Answers("a", "b", PASSWORD)
    connect(openssh.target_of(None, "guest"), ask_secret=person)
    assert len(person.asked) == 3
    few = Answers("a", "b", PASSWORD)
    target = openssh.target_of(None, "guest", NumberOfPasswordPrompts="2")
    with pytest.raises(LoginRefused, match=r"tried: password \(2 times\). It takes publickey, pas"):
        connect(target, ask_secret=few)
    assert len(few.asked) == 2


def test_password_with_nobody_to_ask_names_what_answers(openssh: Sshd, connect: Connect) -> None:
    with pytest.raises(LoginRefused) as caught:
        connect(openssh.target_of(None, "guest"))
    assert (
        "tried: password (nobody can be asked here, but SSH_ASKPASS may name a program that"
        " answers). It takes publickey, password. The public key must be in" in str(caught.value)
    )


def test_password_that_the_configuration_forbids_is_not_asked(
    openssh: Sshd, connect: Connect
) -> None:
    person = Answers(PASSWORD)
    for option in ("PasswordAuthentication", "PreferredAuthentications"):
        value = "no" if option == "PasswordAuthentication" else "publickey"
        with pytest.raises(LoginRefused):
            connect(openssh.target_of(None, "guest", **{option: value}), ask_secret=person)
    assert person.asked == []


def test_password_after_a_key_is_both(openssh: Sshd, connect: Connect) -> None:
    person, target = Answers(PASSWORD), openssh.target_of(openssh.key, "two")
    transport = connect(target, ask_secret=person)
    transport.again().close()
    assert len(person.asked) == 1
    with pytest.raises(LoginRefused, match=r"accepted, but the server also wants password\); pass"):
        connect(target)


def test_password_that_has_expired_says_so(openssh: Sshd, connect: Connect) -> None:
    transport = connect(openssh.target_of(None, "old"), ask_secret=Answers(PASSWORD))
    with pytest.raises(CannotReach, match="Password change required but no TTY available"):
        transport.run("true")


def test_password_changed_meanwhile_is_tried_once_and_then_forgotten(
    openssh: Sshd, connect: Connect
) -> None:
    """Hosts count wrong answers: a link that comes back every second must not add to them."""
    transport = connect(openssh.target_of(None, "guest"), ask_secret=Answers(PASSWORD))
    answers = transport._hops[0].memory.answers
    answers.update(dict.fromkeys(answers, "the old one"))
    for expected in (r"password; password \(nobody", r"tried: password \(nobody"):
        with pytest.raises(LoginRefused, match=expected):
            transport.again()


def test_password_is_in_no_log_and_no_repr(
    openssh: Sshd, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    transport = connect(openssh.target_of(None, "guest"), ask_secret=Answers(PASSWORD))
    hop = transport._hops[0]
    assert hop.memory.answers
    shown = [repr(vars(each)) for each in (transport, hop)] + [repr(hop.memory)]
    assert not [text for text in [*shown, caplog.text] if PASSWORD in text]


def test_prompt_of_pam_is_answered_and_remembered(pam: Sshd, connect: Connect) -> None:
    person = Answers("wrong", PASSWORD)
    transport = connect(pam.target_of(None, "guest"), ask_secret=person)
    transport.again().close()
    assert person.asked == ["guest@127.0.0.1: Password: "] * 2


def test_prompt_with_nobody_to_ask_names_what_answers(pam: Sshd, connect: Connect) -> None:
    with pytest.raises(LoginRefused, match=r"keyboard-interactive \(nobody can be asked here, but"):
        connect(pam.target_of(None, "guest"))


CODES = [
    Round([("Password: ", False)], [PASSWORD], instructions="Welcome\nto \x1b[31mus"),
    Round([("Verification code: ", False), ("Floor? ", True)], ["123456", "7"], name="Second"),
    Round(),
]


def test_prompts_of_several_rounds_are_asked_in_order_and_made_harmless(
    connect: Connect, other: Other
) -> None:
    person, rules = Answers(PASSWORD, "123456", "7"), Rules(CODES)
    connect(other(rules).target(), ask_secret=person)
    assert person.asked == [
        "Welcome\nto us\nme@127.0.0.1: Password: ",
        "Second\nme@127.0.0.1: Verification code: ",
        "me@127.0.0.1: Floor? ",
    ]
    assert rules.came == [[PASSWORD], ["123456", "7"], []]


def test_code_after_a_key_is_asked(connect: Connect, other: Other, tmp_path: Path) -> None:
    key, person = make_key(tmp_path / "key"), Answers("000", "123")
    code = Round([("Code: ", False)], ["123"])
    rules = Rules(
        [code], load(str(key)), key_is_enough=False, methods="publickey,keyboard-interactive"
    )
    connect(other(rules).target("-i", str(key)), ask_secret=person)
    assert rules.came == [["000"], ["123"]]


def test_code_is_never_given_twice_and_one_connection_serves_all_streams(
    connect: Connect, other: Other, listener: Callable[..., Listener]
) -> None:
    rules = Rules([Round([("Verification code: ", False)], ["123"])])
    server, path = other(rules), listener(echo).path
    transport = connect(server.target(), ask_secret=Answers("123"))
    stream = transport.connect(str(path), bridge(path))
    second = transport.again()
    beside = second.connect(str(path), bridge(path))
    beside.send(b"beside")
    assert beside.receive() == b"beside"
    second.close()
    stream.send(b"still here")
    assert stream.receive() == b"still here"
    assert (server.logins, rules.came) == (1, [["123"]])
    server.drop()
    assert stream.receive() == b""
    with pytest.raises(LoginRefused, match="asks for a new code at each login.*connect again"):
        transport.again()
    with pytest.raises(LinkLost):
        second.run("true")


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        ("Password: ", False),
        ("root@codebox's password:", False),
        ("Passwort: ", False),
        ("Verification code: ", True),
        ("One-time password (OATH) for `me': ", True),
        ("Passcode or option (1-3): ", True),
        ("Bestätigungscode: ", True),
        ("Enter PIN: ", True),
        ("OTP: ", True),
        ("YubiKey token: ", True),
    ],
)
def test_prompt_is_known_for_a_code_by_its_words(prompt: str, expected: bool) -> None:
    assert is_one_time(prompt) == expected


def test_what_a_host_says_is_made_harmless_and_short() -> None:
    assert plain("a\x1b[2Jb\r\x07\n" + "x" * 5000) == "a[2Jb\n" + "x" * 994


def test_banner_is_told_while_one_waits_and_quoted_in_the_refusal(
    connect: Connect, other: Other
) -> None:
    heard: list[str] = []
    banner = "To go on, visit:\nhttps://example.com/\x1b[1mcode\n"
    server = other(Rules(CODES, banner=banner))
    with pytest.raises(LoginRefused, match=r"It says: To go on, visit:\nhttps://example.com/co"):
        connect(server.target(), tell=heard.append)
    assert heard == ["To go on, visit: · https://example.com/code"]


def test_login_that_the_server_never_answers_ends(
    connect: Connect, other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(userauth, "_REPLY_SECONDS", 1.0)
    go = threading.Event()
    server = other(Rules(meets=lambda transport: go.wait(60)))
    with pytest.raises(CannotReach, match=f":{server.port} did not answer within 1 s"):
        connect(server.target())
    go.set()


def test_login_that_is_cut_is_no_refusal(connect: Connect, other: Other) -> None:
    """A link that is cut while it comes back is tried again; one that is refused is not."""
    server = other(Rules(meets=lambda transport: transport.close()))
    with pytest.raises(CannotReach, match=f"{server.port} ended the connection during the login"):
        connect(server.target())


def test_login_that_asks_without_end_is_given_up(connect: Connect, other: Other) -> None:
    rules = Rules([Round()] * 1000)
    with pytest.raises(CannotReach, match="where the login's reply was due"):
        connect(other(rules).target(), ask_secret=Answers())
    assert len(rules.came) <= 50


def test_login_by_methods_that_are_not_known_here_names_them(
    connect: Connect, other: Other
) -> None:
    server = other(Rules(methods="gssapi-with-mic,hostbased"))
    with pytest.raises(LoginRefused, match="tried: nothing. It takes gssapi-with-mic, hostbased."):
        connect(server.target())


def test_password_that_must_be_changed_first_says_how(connect: Connect, other: Other) -> None:
    wish = b"\x3c" + string(b"Change it.") + string(b"")
    server = other(Rules(methods="password", replies=wish))
    words = "it has expired there: 'ssh .* me@127.0.0.1' in a terminal changes it"
    with pytest.raises(LoginRefused, match=words):
        connect(server.target(), ask_secret=Answers(PASSWORD))


BROKEN = [
    b"\x33" + b"\xff\xff\xff\xff",  # a refusal longer than it is
    b"\x33",
    b"\x35" + b"\0\0\0\x09cut",  # a banner that is cut short
    b"\x06" + string(b"ssh-userauth"),  # a service that nobody asked for
]


@pytest.mark.parametrize("reply", BROKEN)
def test_login_with_a_reply_that_is_broken_is_no_traceback(
    reply: bytes, connect: Connect, other: Other
) -> None:
    server = other(Rules(methods="password", replies=reply))
    with pytest.raises(
        CannotReach, match=f"127.0.0.1:{server.port}: (a message of|message 6 where)"
    ):
        connect(server.target(), ask_secret=Answers(PASSWORD))
