"""Front ends without a browser: a page of cells, its file, and a real kernel.

What each sends with a cell was read off the real ones: JupyterLab 4.6.6 and Notebook 7.6.5
driven in Chromium, and the source of vscode-jupyter (`cellExecution.ts`, `kernel.ts`) and
VS Code (`cellOperations.ts`, `notebookModelStoreSync.ts`).

====================  ====================  =========================  ====================
what a person does    JupyterLab, Notebook  the file's id of the cell  VS Code
====================  ====================  =========================  ====================
runs a cell           `cellId`: the file's  -                          `cellId`: an address
deletes, cuts a cell  told at the next run  gone                       told nobody
pastes what was cut   the same id           the same                   another address and id
pastes a copy         another id            another                    another address
moves a cell          the same id           the same                   the same address
splits a cell         the *last* part       the same                   the *first* part
                      keeps the id                                     keeps the address
merges cells          another id            another                    the upper one's address
makes it markdown     the same id           the same                   gone
====================  ====================  =========================  ====================
"""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass
class PageCell:
    """A cell in the page: `key` is what the front end calls it, `id` what the file does."""

    key: str
    id: str
    text: str
    kind: str = "code"


@dataclass
class Page:
    """A notebook in a front end: its cells, and the kernel behind it."""

    kernel: Any
    path: Any
    cells: list[PageCell] = field(default_factory=list)
    # Deleted since a cell ran last, as JupyterLab keeps them.
    deleted: list[str] = field(default_factory=list)
    # Number of the next cell of this window, as VS Code keeps it.
    handle: int = 0

    def new(self, text, **known):
        """A cell that is not in the page yet."""
        raise NotImplementedError

    def sent(self, cell):
        """The metadata and the flags that go with a cell that runs."""
        raise NotImplementedError

    def insert(self, at, text):
        """Type a new cell at this place."""
        self.cells.insert(at, self.new(text))
        return self.cells[at]

    def find(self, word):
        """The cell whose text has this word."""
        return next(each for each in self.cells if word in each.text)

    def move(self, word, to):
        """Move a cell to this place."""
        cell = self.find(word)
        self.cells.remove(cell)
        self.cells.insert(to, cell)

    def delete(self, word):
        """Delete a cell; return it."""
        cell = self.find(word)
        self.cells.remove(cell)
        self.deleted.append(cell.key)
        return cell

    def copy(self, word, to):
        """Copy a cell and paste it at this place."""
        return self.insert(to, self.find(word).text)

    def cut(self, word, to):
        """Cut a cell and paste it at this place."""
        raise NotImplementedError

    def run(self, cell, timeout=60.0):
        """Run one cell to its end; return what it left in the page."""
        cell = self.find(cell) if isinstance(cell, str) else cell
        metadata, content = self.sent(cell)
        request = self.kernel.start(cell.text, metadata=metadata, **content)
        ran = self.kernel.finish(request, timeout)
        self.deleted.clear()
        return ran

    def run_all(self):
        """Run all code cells: every one is sent at once, as both front ends do."""
        code = [cell for cell in self.cells if cell.kind == "code"]
        sent = [(cell, *self.sent(cell)) for cell in code]
        starts = [self.kernel.start(c.text, metadata=m, **content) for c, m, content in sent]
        self.deleted.clear()
        return [self.kernel.finish(each) for each in starts]

    def reopened(self):
        """Open the notebook from its file in another window, which counts its cells anew."""
        self.handle = 0
        saved = json.loads(self.path.read_text())["cells"]
        self.cells = [self.new("".join(each["source"]), id=each["id"]) for each in saved]

    def look(self, text):
        """Run a line in a cell that is deleted again, as one does to look at something."""
        cell = self.new(text)
        return self.run(cell)

    def save(self):
        """Write the page to its file."""
        cells = [_to_json(each) for each in self.cells]
        kernel = {"name": "python3", "display_name": "python3", "language": "python"}
        whole = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4}
        self.path.write_text(json.dumps({**whole, "nbformat_minor": 5}))


class JupyterLab(Page):
    """JupyterLab 4 and Notebook 7: the ids are the file's, deletions are reported once."""

    name = "jupyterlab"

    def new(self, text, **known):
        key = known.get("id") or str(uuid.uuid4())
        return PageCell(key, key, text)

    def sent(self, cell):
        metadata = {"trusted": True, "deletedCells": list(self.deleted), "recordTiming": False}
        return {**metadata, "cellId": cell.key}, {"allow_stdin": True}

    def cut(self, word, to):
        cell = self.delete(word)
        self.cells.insert(to, cell)
        return cell

    def split(self, word, parts):
        """Split a cell; the last part stays in it."""
        cell = self.find(word)
        at = self.cells.index(cell)
        self.cells[at:at] = [self.new(each) for each in parts[:-1]]
        cell.text = parts[-1]
        return self.cells[at : at + len(parts)]

    def merge(self, upper, lower):
        """Merge two cells into a new one."""
        first, second = self.find(upper), self.find(lower)
        at = self.cells.index(first)
        self.cells.remove(second)
        self.cells[at] = self.new(f"{first.text}\n\n{_without_magic(second.text)}")
        return self.cells[at]

    def to_markdown(self, word):
        """Make a cell markdown; it keeps its id."""
        self.find(word).kind = "markdown"


class VSCode(Page):
    """VS Code: addresses of the window's own, nothing about deletions."""

    name = "vscode"

    def new(self, text, **known):
        address = f"vscode-notebook-cell:{self.path}#{_fragment(self.handle)}"
        self.handle += 1
        return PageCell(address, known.get("id") or uuid.uuid4().hex[:8], text)

    def sent(self, cell):
        return {"cellId": cell.key}, {"allow_stdin": True, "stop_on_error": False}

    def cut(self, word, to):
        cell = self.delete(word)
        return self.insert(to, cell.text)

    def split(self, word, parts):
        """Split a cell; the first part stays in it."""
        cell = self.find(word)
        at = self.cells.index(cell)
        cell.text = parts[0]
        self.cells[at + 1 : at + 1] = [self.new(each) for each in parts[1:]]
        return self.cells[at : at + len(parts)]

    def merge(self, upper, lower):
        """Join two cells in the upper one."""
        first, second = self.find(upper), self.find(lower)
        first.text = f"{first.text}\n{_without_magic(second.text)}"
        self.cells.remove(second)
        return first

    def to_markdown(self, word):
        """Make a cell markdown: another cell takes its place, with its id in the file."""
        cell = self.find(word)
        self.cells[self.cells.index(cell)] = replace(
            self.new(cell.text, id=cell.id), kind="markdown"
        )


def _fragment(handle):
    """How VS Code writes a cell's number: base 7, its length as a letter, the scheme behind it."""
    digits = str(handle % 7)
    while handle := handle // 7:
        digits = f"{handle % 7}{digits}"
    scheme = base64.b64encode(b"file").decode().replace("=", "%3D")
    return f"{'WXYZabcdefghijklmnopqrstuvwxyz'[len(digits) - 1]}{digits}s{scheme}"


def _to_json(cell):
    found = {"cell_type": cell.kind, "id": cell.id, "metadata": {}}
    if cell.kind == "code":
        found.update(outputs=[], execution_count=None)
    return {**found, "source": cell.text.splitlines(keepends=True)}


def _without_magic(text):
    return "\n".join(line for line in text.split("\n") if not line.startswith("%%"))
