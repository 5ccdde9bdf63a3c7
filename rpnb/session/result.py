"""What came of a job: exactly what production would post, and what a person wants beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Mapping, Sequence

from .media import ResultFile, find_files


@dataclass(frozen=True)
class RemoteException:
    """An exception that user code raised on the target.

    `cell` is the cell's label ("cell 6") or a file's name, `line` counts from 1
    within it, `source` is that line's text. `frames` are (place, line, function,
    source), outermost first, without those of rpnb and the SDK. `traceback` are
    the lines Python would print.
    """

    type: str
    message: str
    cell: str | None = None
    line: int | None = None
    source: str = ""
    frames: Sequence[tuple[str, int, str, str]] = ()
    traceback: Sequence[str] = ()

    @property
    def where(self) -> str | None:
        """The place as a person says it: "cell 6, line 3"; None where it is not known."""
        return f"{self.cell}, line {self.line}" if self.cell else None

    def __str__(self) -> str:
        return f"{self.type}: {self.message}" if self.message else self.type


@dataclass(frozen=True)
class Result:
    """A finished job.

    `output` and `error` are exactly what production would post (an error may be
    a string, a list or an object). `status` is COMPLETED, FAILED or CANCELLED:
    FAILED also where production would post nothing, with the reason in
    `problem`. `metrics` holds times in seconds and sizes in bytes. Of a flood
    `stream` and `progress` have the first values (64 MB of JSON, a million short
    chunks), and `left_out` says how many more of each came.
    """

    id: str
    status: str
    posted: str | None = None
    problem: str | None = None
    exception: RemoteException | None = None
    stream: Sequence[Any] = ()
    progress: Sequence[Any] = ()
    logs: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the job is COMPLETED."""
        return self.status == "COMPLETED"

    @property
    def shortfall(self) -> str:
        """What came and is not kept here, as a sentence; "" where all of it is."""
        kept = {"stream": self.stream, "progress": self.progress}
        said = [
            f"result.{name} holds the first {len(kept[name]):,} of {len(kept[name]) + count:,}"
            for name, count in self.left_out.items()
        ]
        if "stream" in self.left_out:
            said.append("rpnb.stream (in a script session.stream) gives each chunk as it comes")
        return "; ".join(said)

    @property
    def output(self) -> Any:
        """The output as the caller of the endpoint would get it; None without one."""
        return self._post.get("output")

    @property
    def error(self) -> Any:
        """The error as the caller of the endpoint would get it; None without one."""
        return self._post.get("error")

    @property
    def stop(self) -> bool:
        """Whether production would replace the worker after this job."""
        return bool(self._post.get("stopPod"))

    @property
    def size_bytes(self) -> int:
        """The size of what production would post; RunPod's limits are 10 and 20 MB."""
        return len((self.posted or "").encode("utf-8", "surrogatepass"))

    @cached_property
    def files(self) -> list[ResultFile]:
        """The images, audio and other files found in the output, decoded."""
        return find_files(self.output if self.output is not None else list(self.stream))

    @cached_property
    def _post(self) -> dict[str, Any]:
        if self.posted is None:
            return {}
        post = json.loads(self.posted)
        return post if isinstance(post, dict) else {"output": post}

    def to_dict(self) -> dict[str, Any]:
        """Return what `--json` prints: the post's own keys, and the rest beside them."""
        extra: dict[str, Any] = {"problem": self.problem} if self.problem else {}
        return {
            "id": self.id,
            "status": self.status,
            **self._post,
            **extra,
            "stream": list(self.stream),
            "progress": list(self.progress),
            "metrics": dict(self.metrics),
            **({"left_out": dict(self.left_out)} if self.left_out else {}),
        }

    def save(self, folder: str | Path) -> list[Path]:
        """Write `result.json`, the logs and the output's files; return their paths.

        Raises:
            OSError: the folder cannot be written.
        """
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False)
        contents = {"result.json": text.encode("utf-8", "surrogatepass")}
        if self.logs:
            contents["logs.txt"] = self.logs.encode("utf-8", "surrogatepass")
        contents.update({file.name: file.data for file in self.files})
        for name, data in contents.items():
            (place / name).write_bytes(data)
        return [place / name for name in contents]

    def __repr__(self) -> str:
        said = self.problem or (self.error if not self.ok else self.output)
        text = repr(said)
        return (
            f"Result({self.id!r}, {self.status}, {text if len(text) <= 200 else text[:197] + '…'})"
        )
