"""Logging in: by keys, by what a person types, by several of them where a server wants that."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import paramiko

from ..errors import CannotReach, LoginRefused
from .asking import Memory, Person, is_one_time
from .identities import Identities, Identity, signing
from .keys import LockedKey, PublicKey, UnreadableKey, load
from .settings import Settings
from .sshagent import SshAgentError
from .userauth import NoAlgorithm, Question, Reply, UserAuth

# As many as ssh gives.
_PASSPHRASES = 3


class Login:
    """One attempt to log in; knows at its end what was tried, for the error."""

    def __init__(self, settings: Settings, auth: UserAuth, person: Person, memory: Memory) -> None:
        self._settings, self._auth, self._memory = settings, auth, memory
        self._person = person.unattended() if settings.is_batch else person
        self._tried: list[str] = []
        self._seen: set[bytes] = set()
        self._given_up: set[str] = set()
        self._methods: tuple[str, ...] = ()
        self._accepted: Identity | None = None
        # What was typed in this attempt, and what of the memory was used.
        self._typed: dict[str, str] = {}
        self._recalled: set[str] = set()
        self._is_one_time = False

    def log_in(self, first: Identity | None = None) -> Identity | None:
        """Return the identity that was accepted, None where a person's answers were.

        `first` is offered before anything is asked or looked for.

        Raises:
            LoginRefused: says what was tried and what helps.
            CannotReach: the connection ended.
        """
        try:
            is_let_in = self._is_let_in(first)
        except EOFError as error:
            if not self._auth.last_words:
                raise CannotReach(
                    f"cannot reach {self._settings.target.label}: {self._settings.address}"
                    " ended the connection during the login"
                ) from error
            is_let_in = False
        if not is_let_in:
            for question in self._recalled:
                # Not once more: hosts count wrong answers.
                self._memory.answers.pop(question, None)
            raise LoginRefused(self._refusal())
        self._memory.answers.update(self._typed)
        self._memory.is_one_time |= self._is_one_time
        return self._accepted

    def _is_let_in(self, first: Identity | None) -> bool:
        reply = (self._offer(first) if first else None) or self._auth.none()
        ways = self._ways()
        while not reply.is_accepted:
            self._methods = reply.methods
            allowed = [name for name in self._settings.methods if name in reply.methods]
            name = next((name for name in allowed if name in ways), None)
            if name is None:
                return False
            answer = next(ways[name], None)
            if answer is None:
                del ways[name]
                continue
            reply = answer
            if reply.is_partial:
                self._note(f"accepted, but the server also wants {', '.join(reply.methods)}")
                ways = self._ways()
        return True

    def _ways(self) -> dict[str, Iterator[Reply]]:
        return {
            "publickey": self._by_keys(),
            "keyboard-interactive": self._by_answers(),
            "password": self._by_password(),
        }

    def _by_keys(self) -> Iterator[Reply]:
        for identity in Identities(self._settings, self._memory.keys, self._tried):
            reply = self._offer(identity)
            if reply is not None:
                yield reply

    def _by_answers(self) -> Iterator[Reply]:
        for _ in range(self._settings.prompts):
            self._tried.append("keyboard-interactive")
            reply = self._auth.interactive(self._answer)
            if reply is None:
                self._note(self._unanswered("no answer was given"))
                return
            yield reply

    def _by_password(self) -> Iterator[Reply]:
        for _ in range(self._settings.prompts):
            self._tried.append("password")
            password = self._ask(f"Password of {self._who}: ")
            if not password:
                self._note(self._unanswered("none was given"))
                return
            reply = self._auth.password(password)
            if reply is None:
                command = self._settings.target.command
                self._note(f"it has expired there: '{command}' in a terminal changes it")
                return
            yield reply

    def _offer(self, identity: Identity) -> Reply | None:
        """Return what the server says of the identity, None where it cannot be offered."""
        if identity.shown is not None and not self._is_new(identity.shown):
            return None
        self._tried.append(identity.name)
        try:
            if identity.sign is None and identity.shown is not None:
                # Nobody is asked for the passphrase of a key that is no use.
                refusal = self._auth.refuses(identity.shown)
                if refusal is not None:
                    return refusal
            ready = identity if identity.sign else self._unlock(identity)
            if ready is None or ready.shown is None or ready.sign is None:
                return None
            reply = self._auth.publickey(ready.shown, ready.sign)
        except NoAlgorithm as error:
            self._note(str(error))
            return None
        except SshAgentError as error:
            self._note(f"the ssh agent does not sign: {error}")
            return None
        if reply.is_accepted or reply.is_partial:
            self._accepted = ready
        return reply

    def _is_new(self, shown: PublicKey) -> bool:
        is_new = shown.blob not in self._seen
        self._seen.add(shown.blob)
        return is_new

    def _unlock(self, identity: Identity) -> Identity | None:
        path = identity.locked
        key = self._memory.keys.get(path) or self._unlocked(path)
        if key is None:
            return None
        self._memory.keys[path] = key
        shown = identity.shown or PublicKey.from_blob(key.asbytes())
        if identity.shown is None and not self._is_new(shown):
            return None
        return replace(identity, shown=shown, sign=signing(key))

    def _unlocked(self, path: str) -> paramiko.PKey | None:
        if path in self._given_up:
            return None
        self._given_up.add(path)
        for _ in range(_PASSPHRASES):
            passphrase = self._person.secret(f"Passphrase of {path}: ")
            if not passphrase:
                self._note(
                    f"has a passphrase: 'ssh-add {shlex.quote(path)}' unlocks it{self._nobody}"
                )
                return None
            try:
                return load(path, passphrase)
            except LockedKey:
                continue
            except UnreadableKey as error:
                self._note(str(error))
                return None
        self._note(f"the passphrase was wrong {_PASSPHRASES} times")
        return None

    def _answer(self, question: Question) -> list[str] | None:
        answers = list[str]()
        above = f"{question.text}\n" if question.text else ""
        for prompt, _is_shown in question.prompts:
            answer = self._ask(f"{above}{self._who}: {prompt}")
            if answer is None:
                return None
            self._is_one_time |= is_one_time(prompt)
            answers.append(answer)
            above = ""
        return answers

    def _ask(self, question: str) -> str | None:
        known = self._memory.answers.get(question)
        if known is not None and question not in self._recalled:
            self._recalled.add(question)
            return known
        answer = self._person.secret(question)
        if answer is not None:
            self._typed[question] = answer
        return answer

    def _note(self, text: str) -> None:
        self._tried[-1] += f" ({text})"

    def _unanswered(self, otherwise: str) -> str:
        return self._nobody.removeprefix("; ") or otherwise

    @property
    def _nobody(self) -> str:
        if self._person.ask_secret is not None:
            return ""
        return "; nobody can be asked here, but SSH_ASKPASS may name a program that answers"

    @property
    def _who(self) -> str:
        return f"{self._settings.user}@{self._settings.target.label}"

    def _refusal(self) -> str:
        settings, tried = self._settings, "; ".join(_counted(self._tried))
        who = f"{settings.target.label} ({settings.user}@{settings.address})"
        takes_keys = "publickey" in self._methods or not self._methods
        if not tried and takes_keys and "publickey" in settings.methods:
            return (
                f"{who}: there is no key to log in with. 'ssh-keygen -t ed25519' makes one; its"
                " .pub goes into the console's settings (SSH public keys) before the pod starts."
            )
        text = f"{who} refused the login; tried: {tried or 'nothing'}."
        if self._methods:
            text += f" It takes {', '.join(self._methods)}."
        if self._auth.last_words:
            text += f" It hung up after that many: {self._auth.last_words}."
            text += " Name the right one with -i FILE."
        if self._auth.said:
            text += f" It says: {self._auth.said}"
        if takes_keys:
            text += (
                " The public key must be in ~/.ssh/authorized_keys there (for a pod: in the"
                " console's settings, before it starts); -i FILE names another."
            )
        return text


def _counted(tried: list[str]) -> Iterator[str]:
    for text, count in Counter(tried).items():
        yield text if count == 1 else f"{text} ({count} times)"
