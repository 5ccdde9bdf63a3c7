from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpnb.errors import BadTarget
from rpnb.transport.targets import Kind, Target, parse

UNDERSTOOD = {
    "local": Target(Kind.LOCAL),
    "  local ": Target(Kind.LOCAL),
    "my-gpu": Target(Kind.SSH, "my-gpu"),
    "root@my-gpu": Target(Kind.SSH, "my-gpu", "root"),
    "203.0.113.12:17543": Target(Kind.SSH, "203.0.113.12", port=17543),
    "a@b@host": Target(Kind.SSH, "host", "a@b"),
    "2001:db8::1": Target(Kind.SSH, "2001:db8::1"),
    "root@[2001:db8::1]:22": Target(Kind.SSH, "2001:db8::1", "root", 22),
    "fe80::1%eth0": Target(Kind.SSH, "fe80::1%eth0"),
    "ssh://root@host:2222": Target(Kind.SSH, "host", "root", 2222),
    "ssh://host/": Target(Kind.SSH, "host"),
    "ssh://local": Target(Kind.SSH, "local"),
    "runpod:k3x9": Target(Kind.POD, "k3x9"),
    "ssh root@203.0.113.12 -p 17543 -i ~/.ssh/id_ed25519": Target(
        Kind.SSH, "203.0.113.12", "root", 17543, ("~/.ssh/id_ed25519",)
    ),
    "root@203.0.113.12 -p 17543": Target(Kind.SSH, "203.0.113.12", "root", 17543),
    "ssh -p17543 -lme host": Target(Kind.SSH, "host", "me", 17543),
    "ssh -J jump,me@other:22 host": Target(Kind.SSH, "host", jump="jump,me@other:22"),
    "ssh -F 'my config' host": Target(Kind.SSH, "host", config="my config"),
    "ssh -o StrictHostKeyChecking=no -o 'User me' host": Target(
        Kind.SSH, "host", options=("StrictHostKeyChecking=no", "User=me")
    ),
    "ssh -i a -i b host": Target(Kind.SSH, "host", identities=("a", "b")),
    "ssh -tv -Np 22 host": Target(Kind.SSH, "host", port=22),
    "ssh -p 1 -p 2 host": Target(Kind.SSH, "host", port=1),
    "ssh ssh://me@host:1 -l you": Target(Kind.SSH, "host", "you", 1),
    "ssh host \\\n  -p 22": Target(Kind.SSH, "host", port=22),
}

# What is typed, the place of the caret (None: no place is better than another), and the reason.
REFUSED = [
    ("", None, "no target was given"),
    ("ssh", 3, "names no host"),
    ("ssh -p 22", 9, "names no host"),
    ("ssh -L 1:host:2 host", 4, "-L is not understood"),
    ("ssh host nvidia-smi", 9, "a command after the host"),
    ("ssh host -p", 9, "-p is followed by a value"),
    ("ssh host -p x", 12, "a port is a number"),
    ("host:0", 5, "a port is a number"),
    ("root@host:99999", 10, "from 1 to 65535"),
    ("host:", 5, "a port is a number"),
    ("[::1]:x", 6, "a port is a number"),
    ("@host", 0, "no user name"),
    ("root@", 5, "the host is missing"),
    ("ssh://", 6, "the host is missing"),
    ("ssh://host/path", 10, "'/' cannot be part"),
    ("ssh -o StrictHostKeyChecking host", 7, "Name=Value"),
    ("ssh 'host", 4, "quote"),
    ("ho$(id)st", 2, "'$' cannot be part"),
    ("-oProxyCommand=id", 0, "'-' cannot be part"),
    ("ssh -J a,b;c host", 10, "cannot be part"),
    ("runpod:", 7, "a pod's id or name"),
]


@pytest.mark.parametrize(("text", "expected"), UNDERSTOOD.items())
def test_target_of_each_form_is_read(text: str, expected: Target) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(("text", "position", "reason"), REFUSED)
def test_target_that_names_none_shows_the_place(
    text: str, position: int | None, reason: str
) -> None:
    with pytest.raises(BadTarget, match=re.escape(reason)) as caught:
        parse(text)
    assert caught.value.position == position


def test_target_error_draws_the_caret_under_the_place() -> None:
    with pytest.raises(BadTarget) as caught:
        parse("host:0")
    assert str(caught.value).splitlines()[1:] == ["    host:0", "         ^"]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("local", "local"),
        ("root@my-gpu:22", "my-gpu"),
        ("ssh -p 22 root@203.0.113.12", "203.0.113.12"),
        ("runpod:k3x9", "k3x9"),
    ],
)
def test_target_label_is_the_host_alone(text: str, label: str) -> None:
    assert parse(text).label == label


def test_target_command_is_what_ssh_takes() -> None:
    assert parse("root@203.0.113.12:17543").command == "ssh -p 17543 root@203.0.113.12"


NAMES = st.from_regex(r"[a-zA-Z0-9_.][a-zA-Z0-9_.-]{0,12}", fullmatch=True)
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1).filter(
    lambda word: word == word.strip()
)
HOSTS = st.one_of(NAMES, st.ip_addresses(v=6).map(str), st.sampled_from(["local", "ssh", "runpod"]))
TARGETS = st.builds(
    Target,
    kind=st.just(Kind.SSH),
    host=HOSTS,
    user=st.none() | NAMES | st.just("a@b"),
    port=st.none() | st.integers(1, 65535),
    identities=st.lists(WORDS, max_size=2).map(tuple),
    jump=st.none() | st.lists(NAMES, min_size=1, max_size=2).map(",".join),
    config=st.none() | WORDS,
    options=st.lists(st.tuples(NAMES.filter(str.isalpha), WORDS).map("=".join), max_size=2).map(
        tuple
    ),
)


@given(TARGETS)
def test_target_text_reads_back_as_the_same_target(target: Target) -> None:
    assert parse(target.text) == target


@given(st.text(max_size=40))
def test_target_of_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except BadTarget:
        return
