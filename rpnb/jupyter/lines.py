"""The one line that leads each output: the target first, then what happened.

Pure text: each function returns the parts, `join` puts them together.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..session.history import PastJob
from ..session.logs import Lost
from ..session.pretty import size, span
from ..transport.text import one_line

Line = tuple[str, ...]
# RunPod takes 10 MB from /run and 20 MB from /runsync; half of it is worth a word.
_LIMIT_RUN, _LIMIT_RUNSYNC = 10_000_000, 20_000_000
# Smaller values are kept, too, but nobody waits for them or runs out of memory.
WORTH_NAMING_BYTES = 1_000_000
_WORTH_NAMING_SECONDS = 0.05


def join(line: Sequence[str], *, box: bool = True) -> str:
    """Return the line as one text; `box` draws the separator."""
    return (" │ " if box else " | ").join(one_line(part) for part in line if part)


def connected(target: str, info: Mapping[str, Any], seconds: float) -> Line:
    """A worker is ready: its Python, runpod and GPUs."""
    sdk = f"runpod {info['sdk']}" if info.get("sdk") else "no runpod yet"
    facts = " · ".join((f"Python {info.get('python', '?')}", sdk, gpus(info.get("gpus") or ())))
    return target, facts, f"worker ready in {seconds:.1f} s"


def gpus(readings: Sequence[Mapping[str, Any]]) -> str:
    """The GPUs by name and memory: "NVIDIA RTX 4090 24 GB", "2 × …", "no GPU"."""
    if not readings:
        return "no GPU"
    names = [f"{each['name']} {each['total_bytes'] / 1e9:.0f} GB" for each in readings]
    same = len(set(names)) == 1 and len(names) > 1
    return f"{len(names)} × {names[0]}" if same else ", ".join(names)


def vram(readings: Sequence[Mapping[str, Any]]) -> str:
    """The memory of the GPUs in use: "VRAM 7.4 / 24 GB"; nothing without a GPU."""
    if not readings:
        return ""
    used = sum(each["used_bytes"] for each in readings) / 1e9
    return f"VRAM {used:.1f} / {sum(each['total_bytes'] for each in readings) / 1e9:.0f} GB"


def adopted(target: str, labels: Sequence[str], kept: Sequence[Mapping[str, Any]]) -> Line:
    """A warm worker was found: the cells it has run, marked "from before"."""
    warm = ", ".join(_with_age(each) for each in kept)
    return target, "worker was warm", f"from before: {', '.join(labels)}", warm


def driven(target: str, who: str) -> Line:
    """Another client drives the worker: what this one may do, and until when."""
    watch = "watch its jobs: `%runpod_run --attach ID`"
    until = "runs here are refused until it disconnects"
    return target, f"{who} drives this worker", f"{watch} · {until}"


def still_running(target: str, job: PastJob) -> Line:
    """A job that began before this connection goes on, and how to follow it."""
    attach = f"`%runpod_run --attach {job.name}`"
    return target, f"job {job.name} still runs, begun {_ago(job.at)} → {attach}"


def finished_meanwhile(target: str, jobs: Sequence[PastJob]) -> Line:
    """Jobs that ended while nobody watched, and how to see the last of them."""
    count = f"{len(jobs)} job{'s' if len(jobs) > 1 else ''} finished meanwhile"
    said = [f"{job.name} {job.status} {_ago(job.at)}" for job in jobs]
    attach = f"`%runpod_run --attach {jobs[-1].name}`"
    return target, f"{count}: {', '.join(said[-3:])} → {attach}"


def setup(
    target: str,
    what: str,
    seconds: float,
    made: Sequence[Mapping[str, Any]],
    memory: str,
    *,
    stayed: Sequence[Mapping[str, Any]] = (),
    steps: Sequence[Mapping[str, Any]] = (),
) -> Line:
    """A set-up cell ran: "ran 41.2 s │ pipe 6.9 GB · VRAM 7.4 / 24 GB".

    `made` is what it loaded, `stayed` what it had loaded before; `steps` ran.
    """
    small = {each["name"] for each in made if (each.get("bytes") or 0) < WORTH_NAMING_BYTES}
    again = reran([each for each in steps if small.intersection(each["names"])])
    parts = (_made(made, again), keeping(stayed), again, memory)
    return target, what, f"ran {seconds:.1f} s", " · ".join(filter(None, parts))


def unchanged(target: str, what: str, kept: Sequence[Mapping[str, Any]]) -> Line:
    """A set-up cell had nothing to do."""
    named = ", ".join(_with_age(each) for each in kept)
    keeps = f"{named} · " if named else ""
    return target, what, "unchanged", f"{keeps}--again runs it anew"


@dataclass(frozen=True)
class Times:
    """The seconds from the key press to the result, and those spent in handler and set-up."""

    total: float
    handler: float
    setup: float = 0.0

    def __str__(self) -> str:
        link = max(self.total - self.handler - self.setup, 0.0)
        parts = [f"link {link:.2f}", f"handler {self.handler:.2f}"]
        if self.setup >= _WORTH_NAMING_SECONDS:
            parts.insert(1, f"set-up {self.setup:.2f}")
        return f"{self.total:.2f} s ({' · '.join(parts)})"


def completed(target: str, times: Times, warm: str, source: str) -> Line:
    """A job completed: its time, split, what stayed warm, and which input it had."""
    return target, "handler", f"✓ {times}", warm, f"input: {source}" if source else ""


def failed(target: str, status: str, seconds: float, reason: str) -> Line:
    """A job did not complete: "✗ FAILED after 0.3 s │ KeyError 'prompt' — cell 6, line 3"."""
    return target, "handler", f"✗ {status} after {seconds:.1f} s", reason


def not_run(target: str, name: str | None) -> Line:
    """A handler cell had no input; `name` is the required field that has no value."""
    why = f"not run: `{name}` is required" if name else "not run: there is no input yet"
    return target, "handler", why, "fill in the form or add --input"


def reloads(target: str, names: Sequence[str], seconds: float, cause: str) -> Line:
    """What took long to load will be dropped and loaded again, unless a person stops it."""
    what = f"{', '.join(names) or 'a step'} reload{'' if len(names) > 1 else 's'}"
    keeps = f"Interrupt keeps the old {'ones' if len(names) > 1 else 'one'}"
    return target, f"{what} (about {seconds:.0f} s): {cause}", keeps


def remedies(target: str, names: Sequence[str]) -> Line:
    """How to overrule a reload that another statement caused."""
    name = f"`{names[0]}`" if names else "it"
    keep = f"`# rpnb: keep` behind the load of {name} keeps it"
    return target, f"{keep}; `# rpnb: pure` behind the cause says that it changes nothing"


def left_out(target: str, lost: Lost, directory: str) -> Line:
    """Text that was printed is not on the page: how much, and where it lies on the target."""
    where = f"whole logs on {target}: {directory}/out and err" if directory else ""
    return target, f"{lost} of output not shown", where


def not_reloaded(target: str, kept: Sequence[Mapping[str, Any]]) -> Line:
    """A person stopped a reload before it began."""
    return target, "not reloaded", keeping(kept) or "all kept", "the edit was not sent"


def link(
    target: str, state: str, seconds: float, why: str = "", *, is_confirmed: bool = True
) -> Line:
    """The link is silent, lost (which is the same to a person), not there yet, or back."""
    if state == "back":
        return target, f"link is back after {span(seconds)}"
    if state == "away":
        return target, f"no link for {span(seconds)}", "the run waits", "reconnecting", why
    known = "job runs on" if is_confirmed else "sent, not confirmed yet"
    return target, f"link lost {span(seconds)} ago", known, "reconnecting", why


def cancelled(
    target: str, chunks: int, kept: Sequence[Mapping[str, Any]], why: str = "cancelled"
) -> Line:
    """A run was cancelled, or timed out; the model stays."""
    return target, _cut_short(chunks, why), keeping(kept) or "worker kept"


def killed(target: str, chunks: int, why: str = "cancelled") -> Line:
    """A run was cancelled, or timed out, and did not end by itself; nothing stays."""
    # That the worker went, a person who ended it need not be told.
    gone = "" if why.startswith("the worker was") else "it did not stop: its worker was ended, and "
    return target, _cut_short(chunks, why), f"{gone}the program is loaded anew"


def _cut_short(chunks: int, why: str) -> str:
    after = f" after {chunks} chunk{'s' if chunks != 1 else ''}" if chunks else ""
    return f"{why}{after if why == 'cancelled' else ''}"


def unused(target: str, stops_in: float, kept: Sequence[Mapping[str, Any]]) -> Line:
    """An unused worker is about to be stopped, and what it holds goes with it."""
    goes = ", ".join(each["name"] for each in kept)
    what = f"stopped in {span(stops_in)} if it is not used"
    keep = "`%runpod_connect --keep` leaves it on"
    return target, f"{what}, and with it {goes}" if goes else what, keep


def disconnected(waits: float | None, pod: str | None) -> Line:
    """The worker stays, for so many seconds where that is known; what costs money is said."""
    warm = "worker stays warm" + (f" for {span(waits)}" if waits is not None else "")
    ends = f"{pod} still runs: %runpod_stop --pod" if pod else "`%runpod_stop` ends it"
    return "disconnected", f"{warm} · {ends}"


def keeping(kept: Sequence[Mapping[str, Any]]) -> str:
    """What stayed warm: "pipe kept (6.9 GB)", "ocr, tokenizer kept"."""
    large = [each for each in kept if (each.get("bytes") or 0) >= WORTH_NAMING_BYTES]
    if large:
        return ", ".join(f"{each['name']} kept ({size(each['bytes'])})" for each in large)
    return f"{', '.join(each['name'] for each in kept)} kept" if kept else ""


def reran(steps: Sequence[Mapping[str, Any]]) -> str:
    """Which names were made anew: "re-ran to_b64, handler"; a first run is none."""
    names = [
        name for step in steps if not _is_new(str(step.get("reason", ""))) for name in step["names"]
    ]
    return f"re-ran {', '.join(dict.fromkeys(names))}" if names else ""


def json_size(count: int) -> str:
    """The size of a post where it is over half of a limit of RunPod's, else nothing."""
    if count <= _LIMIT_RUN / 2:
        return ""
    limit = _LIMIT_RUN if count <= _LIMIT_RUN else _LIMIT_RUNSYNC
    name = "/run" if limit == _LIMIT_RUN else "/runsync"
    over = "over" if count > limit else "of"
    return f"JSON {count / 1e6:.1f} MB, {over} the {limit // 1_000_000} MB of {name}"


def _is_new(reason: str) -> bool:
    return reason.split(" ", 1)[0] in ("new", "always")


def _made(made: Sequence[Mapping[str, Any]], again: str) -> str:
    """What was loaded; "kept warm" said of what was loaded again would read as if it were not."""
    small = [each["name"] for each in made if (each.get("bytes") or 0) < WORTH_NAMING_BYTES]
    said = [f"{each['name']} {size(each['bytes'])}" for each in made if each["name"] not in small]
    return ", ".join([*said, f"{', '.join(small)} kept warm"] if small and not again else said)


def _with_age(item: Mapping[str, Any]) -> str:
    large = (item.get("bytes") or 0) >= WORTH_NAMING_BYTES
    facts = [size(item["bytes"])] if large else []
    if item.get("age") is not None:
        facts.append(f"loaded {span(item['age'])} ago")
    return f"{item['name']} kept ({', '.join(facts)})" if facts else f"{item['name']} kept"


def _ago(at: Any) -> str:
    return f"{span(max(time.time() - at, 0))} ago" if isinstance(at, (int, float)) else ""
