"""What a target has: a directory for rpnb, a Python for it, and perhaps the agent.

One POSIX shell script asks all of it, for each login's shell may be another
and each further question is a round trip.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Sequence

from ..errors import CannotPrepare, NoPython, NoSpace
from ..transport.text import harmless

# Asked of every candidate, Python 2 included. The current directory is left out
# of the search: a home with a folder named "torch" has no torch.
_QUESTION = """\
import sys
sys.path[:] = [p for p in sys.path if p]
torch = 0
try:
    from importlib.util import find_spec
    found = find_spec("torch")
    torch = int(found is not None and found.origin is not None)
except Exception:
    pass
fits = int(sys.version_info >= (3, 9))
version = "%d.%d.%d" % tuple(sys.version_info[:3])
sys.stdout.write("%d %d %s %s" % (fits, torch, version, sys.executable))
"""

# An ssh command gets a bare PATH: the image's own Python is often not on it.
CANDIDATES = (
    "python3",
    "python",
    "/opt/conda/bin/python",
    "/workspace/venv/bin/python",
    "/opt/venv/bin/python",
)

_SCRIPT = """\
say() {{ printf 'rpnb:%s\\n' "$*"; }}

if [ -n "${{RPNB_HOME:-}}" ]; then set -- "$RPNB_HOME"; else
  set --
  if grep -q ' /workspace ' /proc/mounts 2>/dev/null; then set -- /workspace/.cache/rpnb; fi
  # A container's processes may have no HOME; the user's own is known all the same.
  home=${{HOME:-$(getent passwd "$(id -u)" 2>/dev/null | cut -d: -f6)}}
  if [ -n "$home" ]; then set -- "$@" "$home/.cache/rpnb"; fi
fi
root=
for place do
  if (umask 077; mkdir -p "$place") 2>/dev/null && [ -w "$place" ]; then root=$place; break; fi
done
if [ -z "$root" ]; then say "noroot ${{*:-?}}"; exit 28; fi
say "root $root"

set -- {candidates}
python= first= seen=:
for path do
  path=$(command -v "$path" 2>/dev/null) || continue
  real=$(readlink -f "$path" 2>/dev/null) || real=$path
  case $seen in *":${{path%/*}} $real:"*) continue;; esac
  seen="$seen${{path%/*}} $real:"
  answer=$("$path" -c {question} </dev/null 2>/dev/null) || continue
  # A program of that name need not be a Python.
  case $answer in [01]" "[01]" "*" "*) say "found $answer";; *) continue;; esac
  own=${{answer#* * * }}
  case $answer in
    "1 1 "*) python=$own; break;;
    "1 0 "*) [ -n "$first" ] || first=$own;;
  esac
done
python=${{python:-$first}}
if [ -z "$python" ]; then say nopython; exit 3; fi
say "python $python"

agent="$root/agent-{agent}.pyz"
say "agent $agent"
if [ ! -f "$agent" ]; then say missing; exit 0; fi
# Where anybody may write, anybody may have put it there.
case $(ls -ld "$root") in
  ?????w*|????????w*) if [ ! -O "$agent" ]; then say missing; exit 0; fi;;
esac
RPNB_HOME=$root; export RPNB_HOME
exec "$python" "$agent" {verb} </dev/null
"""


def script(agent: str, verb: Sequence[str], python: str | None) -> str:
    """Return the shell script that looks round and, where it can, runs the agent's verb.

    `python` is the only candidate where it is given. Among several, the first
    that has torch is taken, else the first that is new enough.
    """
    if python is not None:
        # The target's home, which a quoted ~ would not be.
        in_home = python.startswith("~/")
        candidates = f'"$HOME"/{shlex.quote(python[2:])}' if in_home else shlex.quote(python)
    else:
        names = " ".join(CANDIDATES)
        candidates = f'${{VIRTUAL_ENV:+"$VIRTUAL_ENV/bin/python"}} {names}'
    return _SCRIPT.format(
        candidates=candidates,
        question=shlex.quote(_QUESTION),
        agent=agent,
        verb=shlex.join(verb),
    )


@dataclass(frozen=True)
class Probe:
    """The script's answer. `found` are (version, path) of the Pythons it met."""

    root: str = ""
    python: str = ""
    agent: str = ""
    missing: bool = False
    found: tuple[tuple[str, str], ...] = ()
    tried: str = ""

    @classmethod
    def parse(cls, stdout: str) -> Probe:
        """Read the script's own lines; whatever else stands around them is skipped."""
        said: dict[str, str] = {}
        found = []
        for line in harmless(stdout).splitlines():
            if not line.startswith("rpnb:"):
                continue
            word, _, rest = line[5:].partition(" ")
            said[word] = rest
            if word == "found":
                _fits, _torch, version, path = rest.split(" ", 3)
                found.append((version, path))
        return cls(
            root=said.get("root", ""),
            python=said.get("python", ""),
            agent=said.get("agent", ""),
            missing="missing" in said,
            found=tuple(found),
            tried=said.get("noroot", ""),
        )

    def require(self, label: str, stderr: str = "", python: str | None = None) -> None:
        """Raise what keeps an agent from running on the target called `label`.

        `python` is the one that was asked for.

        Raises:
            NoSpace: no directory can be written.
            NoPython: none is new enough.
            CannotPrepare: the script did not get that far: no shell, or one that says other things.
        """
        if self.agent:
            return
        if self.tried == "?":
            raise NoSpace(
                f"the user of {label} has no home: set RPNB_HOME there to a writable folder"
            )
        if not self.root and self.tried:
            raise NoSpace(
                f"{label} has no directory that rpnb can write: tried {self.tried}. "
                "The disk may be full or read-only; set RPNB_HOME there to one that is not."
            )
        if not self.root:
            last = stderr.strip().splitlines()[-1:] or ["it said nothing"]
            raise CannotPrepare(
                f"{label} ran no shell command: {last[0]}. "
                "The login must have a POSIX shell; a command that works first is `ssh … true`."
            )
        versions = ", ".join(f"{version} ({path})" for version, path in self.found)
        where = f" at {python}" if python else ""
        raise NoPython(
            f"{label} has no Python 3.9 or newer{where}: found {versions or 'none'}. "
            "Install one, or name it with --python PATH."
        )
