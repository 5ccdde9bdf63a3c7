"""Whether a host's key may be trusted: known, vouched for, accepted now, or refused."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from ..errors import BadTarget, CannotReach, HostKeyChanged, HostKeyUnknown
from .asking import Person
from .certificates import Certificate
from .keys import PublicKey
from .knownhosts import KnownHosts, Line, without_port
from .stream import Ask

# As ssh has it, another key is a changed one whatever its kind, if the kind is known at all.
_KINDS = re.compile(
    r"ssh-(rsa|ed25519|dss)|(sk-)?(ecdsa-sha2-nistp\d+|ssh-ed25519)(@openssh\.com)?"
)
_KRL = b"SSHKRL\n\0"


def verify(
    known: KnownHosts, who: str, name: str, shown: PublicKey, *, strict: str, person: Person
) -> None:
    """Return if `shown`, a key or a certificate, may be trusted; `who` names the host to people.

    Raises:
        HostKeyChanged: the host is known by another key, or this one is revoked.
        HostKeyUnknown: nobody has accepted it, and nobody does now.
        CannotReach: it is a certificate that makes no sense.
    """
    try:
        certificate = _certificate(shown)
    except ValueError as error:
        raise CannotReach(f"{who} shows a certificate that cannot be read: {error}") from error
    key = certificate.key if certificate else shown
    signers = [certificate.authority] if certificate else []
    revoking = known.revoking(name, [key, *signers])
    if revoking is not None:
        raise _revoked(who, key, f"{revoking.path}, line {revoking.number} marks as revoked")
    doubt = _doubt(known, name, certificate)
    lines = known.about(name)
    if doubt is None or any(line.key == key for line in lines):
        return
    comparable = [line for line in lines if _KINDS.fullmatch(line.key.kind)]
    if comparable:
        raise HostKeyChanged(_changed(who, name, key, comparable, doubt))
    # As ssh does: a key accepted for the host on port 22 is good on its other ports.
    if any(line.key == key for line in known.about(without_port(name))):
        return
    if lines:
        titles = ", ".join(dict.fromkeys(line.key.title for line in lines))
        doubt += f" (It is known by a kind of key that is not understood here: {titles}.)"
    shows = f"{who} shows a host key that nobody has accepted yet: {key.title} {key.fingerprint}."
    _accept(shows + doubt, name, key, strict=strict, person=person)
    known.remember(name, key)


def refuse_listed(path: Path, who: str, shown: PublicKey) -> None:
    """Return if `shown` is not in `path`: RevokedHostKeys, a list of keys or a KRL.

    Raises:
        HostKeyChanged: it is.
        BadTarget: the file cannot be read; then no host is trusted, as with ssh.
    """
    try:
        data = path.read_bytes()
        is_listed = _is_in_krl(path, shown) if data.startswith(_KRL) else _is_in(data, shown)
    except OSError as error:
        raise BadTarget(
            f"RevokedHostKeys of {who} cannot be read, so its key cannot be trusted:"
            f" {path}: {error.strerror or error}"
        ) from error
    if is_listed:
        raise _revoked(who, shown, f"{path} (RevokedHostKeys) lists")


def _certificate(shown: PublicKey) -> Certificate | None:
    return Certificate.parse(shown) if shown.is_certificate else None


def _doubt(known: KnownHosts, name: str, certificate: Certificate | None) -> str | None:
    """Return None where an authority vouches for the host; else what to say about that."""
    authorities = known.authorities(name)
    signing = [line for line in authorities if certificate and line.key == certificate.authority]
    if certificate and signing:
        fault = certificate.fault_for_host(without_port(name))
        where = f"{signing[0].path}, line {signing[0].number}"
        return f" (Its certificate, of the authority in {where}, {fault}.)" if fault else None
    if authorities:
        where = f"{authorities[0].path}, line {authorities[0].number}"
        return f" (It has no certificate of the authority in {where}.)"
    return ""


def _accept(shows: str, name: str, key: PublicKey, *, strict: str, person: Person) -> None:
    option = key.fingerprint
    if person.accept_key is not None:
        accepted = re.split(r"[\s,]+", person.accept_key)
        is_accepted = any(each.rstrip("=") == key.fingerprint for each in accepted)
        remedy = f" That is not the accepted {person.accept_key}."
        # Of a host behind another one both may be new.
        option = f"{person.accept_key},{key.fingerprint}"
    elif strict in ("no", "accept-new"):
        is_accepted, remedy = True, ""
    elif strict == "yes":
        is_accepted, remedy = False, " StrictHostKeyChecking is 'yes', so nobody is asked."
    elif person.ask is not None:
        is_accepted, remedy = _says_yes(person.ask, f"{shows} Accept it?"), " It was not accepted."
    else:
        is_accepted, remedy = False, ""
    if not is_accepted:
        raise HostKeyUnknown(
            f"{shows}{remedy} If it is the right one, accept it: --accept-key {option}",
            host=name,
            fingerprint=key.fingerprint,
        )


def _says_yes(ask: Ask, question: str) -> bool:
    try:
        return ask(question)
    except EOFError:  # input() where nobody sits
        return False


def _revoked(who: str, key: PublicKey, by: str) -> HostKeyChanged:
    return HostKeyChanged(
        f"{who} shows a host key that {by}: {key.title} {key.fingerprint}. It is not used."
    )


def _changed(who: str, name: str, key: PublicKey, lines: list[Line], doubt: str) -> str:
    line = lines[0]
    if set("*?!") & set(line.names):
        remedy = f"remove line {line.number} of {line.path}"
    else:
        paths = dict.fromkeys(line.path for line in lines)
        remedy = " && ".join(
            f"ssh-keygen -R {shlex.quote(name)} -f {shlex.quote(str(path))}" for path in paths
        )
    return (
        f"{who} shows another host key than the accepted one ({line.path}, line {line.number}):"
        f" {key.title} {key.fingerprint} instead of {line.key.title} {line.key.fingerprint}."
        f"{doubt} A new machine at an old address looks like this, and so does somebody in between."
        f" If the machine is new, forget the old key: {remedy}"
    )


def _is_in(data: bytes, shown: PublicKey) -> bool:
    keys = _halves(shown)
    lines = (line.decode("utf-8", "replace").split() for line in data.splitlines())
    return any(PublicKey.from_words(words) in keys for words in lines if words)


def _halves(shown: PublicKey) -> list[PublicKey]:
    certificate = _certificate(shown)
    return [certificate.key, certificate.authority] if certificate else [shown]


def _is_in_krl(path: Path, shown: PublicKey) -> bool:
    """Ask ssh-keygen, which knows that format."""
    if shutil.which("ssh-keygen") is None:
        raise OSError("only ssh-keygen can read a key revocation list, and there is none here")
    with tempfile.NamedTemporaryFile("w", suffix=".pub") as file:
        file.write(shown.line)
        file.flush()
        done = subprocess.run(
            ["ssh-keygen", "-Q", "-f", path, file.name], capture_output=True, text=True
        )
    if done.returncode not in (0, 1):
        raise OSError(done.stderr.strip())
    return done.returncode == 1
