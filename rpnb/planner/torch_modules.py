"""Torch modules: whether they run the person's code, and whether a call changed them.

Torch itself is never imported here; a module is known by its class.
"""

from __future__ import annotations

import weakref
from typing import Any, Collection, Iterable, Iterator


def top(dotted: str) -> str:
    """Return the package that a dotted name begins with."""
    return dotted.partition(".")[0]


def is_module(value: Any) -> bool:
    """Tell whether `value` is a torch module."""
    return is_a(value, "Module")


def is_a(value: Any, name: str) -> bool:
    """Tell whether `value` is an instance of torch's class of this name."""
    classes = type(value).__mro__
    return any(cls.__name__ == name and top(cls.__module__) == "torch" for cls in classes)


def is_ready(module: Any, own: Collection[str]) -> bool:
    """Tell whether a torch module is in eval state and runs no code of the person's."""
    for part in module.modules():
        held = vars(part)
        hooks = [*held.get("_forward_hooks", {}).values(), held.get("forward")]
        hooks += held.get("_forward_pre_hooks", {}).values()
        if getattr(part, "training", True) and not _sets_state_itself(part):
            return False
        if any(top(_module_of(code)) in own for code in (type(part), *hooks)):
            return False
    return not _is_script_with_state(module)


def _sets_state_itself(part: Any) -> bool:
    """Sentence-transformers' own layers have no use for it; `encode` and `predict` set it."""
    return top(type(part).__module__) == "sentence_transformers"


def _module_of(code: Any) -> str:
    return str(getattr(getattr(code, "func", code), "__module__", ""))


_scripts: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()


def _is_script_with_state(module: Any) -> bool:
    """Tell whether TorchScript code stores into its module, where Python sees nothing of it.

    As Silero's voice detector does, which keeps what it heard last.
    """
    if not is_a(module, "ScriptModule"):
        return False
    if module not in _scripts:
        _scripts[module] = "prim::SetAttr" in str(getattr(module, "inlined_graph", "prim::SetAttr"))
    return _scripts[module]


class State:
    """What torch modules hold, and whether they still do after a call.

    Some keep a state of their own in eval state, too: a table that grows with the
    longest text, what a recurrent network heard last.
    """

    def __init__(self, values: Iterable[Any]) -> None:
        self._modules = [value for value in values if is_module(value)]
        self._before = [list(_marks(module)) for module in self._modules]

    def is_same(self) -> bool:
        """Tell whether every part is the object that it was, with the content that it had."""
        after = [list(_marks(module)) for module in self._modules]
        return all(map(_are_same, self._before, after))


def _are_same(before: list[tuple[Any, Any]], after: list[tuple[Any, Any]]) -> bool:
    return len(before) == len(after) and all(
        one is other and mark == now for (one, mark), (other, now) in zip(before, after)
    )


def _marks(module: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the values that the module's parts hold, with what shows a change in place.

    They are kept until they are compared: another object may get the id of one that is gone.
    """
    for part in module.modules():
        for name, value in vars(part).items():
            if name == "training" and _sets_state_itself(part):
                continue
            yield value, _mark(value)
            if isinstance(value, dict):
                yield from ((each, _mark(each)) for each in value.values())


def _mark(value: Any) -> Any:
    """How often a tensor was written to, how many elements a container has."""
    try:
        return value._version if hasattr(type(value), "_version") else len(value)
    except Exception:  # noqa: BLE001 - a tensor of inference mode does not count, and most have no length
        return None
