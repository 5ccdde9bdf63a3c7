"""refuse_unportable: what the loop runs and a file cannot hold."""

import pytest

from rpnb.errors import ExportError
from rpnb.export.portable import refuse_unportable
from tests.export.programs import HANDLER, program

AWAITS = [
    "model = await load()\n",
    "if True:\n    model = await load()\n",
    "async for chunk in stream():\n    print(chunk)\n",
    "async with session() as s:\n    pass\n",
    "chunks = [chunk async for chunk in stream()]\n",
    "def late(value=await load()):\n    pass\n",
    "@(await decorator())\ndef late():\n    pass\n",
]
FINE = [
    "async def load():\n    await other()\n",
    "async def load():\n    async with a() as b:\n        return [c async for c in b]\n",
    "class Model:\n    async def load(self):\n        await other()\n",
    "def f():\n    async def g():\n        await h()\n    return g\n",
]


@pytest.mark.parametrize("text", AWAITS)
def test_top_level_await_is_refused_with_the_remedy(text):
    with pytest.raises(ExportError, match=r"cell 3, line \d+ awaits at top level.*asyncio\.run"):
        refuse_unportable(program(text + HANDLER))


@pytest.mark.parametrize("text", FINE)
def test_await_inside_a_function_is_fine(text):
    refuse_unportable(program(text + HANDLER))


def test_await_is_named_by_its_line_in_the_cell():
    with pytest.raises(ExportError, match="cell 3, line 4 awaits"):
        refuse_unportable(program("a = 1\n\nb = await c()\n" + HANDLER))


@pytest.mark.parametrize("line", ["%matplotlib inline", "!pip install torch", "handler?"])
def test_ipython_syntax_is_refused(line):
    with pytest.raises(ExportError, match="IPython's own syntax"):
        refuse_unportable(program(f"{line}\n{HANDLER}"))


def test_get_ipython_is_refused():
    with pytest.raises(ExportError, match=r"cell 3, line 2 calls get_ipython\(\)"):
        refuse_unportable(program(f"get_ipython().run_line_magic('pwd', '')\n{HANDLER}"))


def test_other_syntax_errors_name_the_place():
    with pytest.raises(ExportError, match="cell 3, line 2 is not Python"):
        refuse_unportable(program(f"def (:\n{HANDLER}"))
