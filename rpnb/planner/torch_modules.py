"""Torch modules: whether they run the person's code.

Torch itself is never imported here; a module is known by its class.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any, Collection, Iterator


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
    if any(top(module_of(hook)) in own for hook in _hooks_of_all()):
        return False
    for part in module.modules():
        if getattr(part, "training", True) and not sets_state_itself(part):
            return False
        if any(top(module_of(code)) in own for code in _code(part)):
            return False
    return not _is_script_with_state(module)


def _code(part: Any) -> Iterator[Any]:
    """Yield what a call of a module may run: its class, hooks, and what it was given."""
    yield type(part)
    yield getattr(type(part), "forward", None)
    for name, value in vars(part).items():
        if name in ("_forward_hooks", "_forward_pre_hooks"):
            yield from value.values()
        elif name[:1] != "_" and callable(value):
            yield value


def _hooks_of_all() -> list[Any]:
    """Return the hooks that run around every module's call."""
    home = sys.modules.get("torch.nn.modules.module")
    found = [getattr(home, f"_global_forward_{sort}", {}) for sort in ("hooks", "pre_hooks")]
    return [hook for hooks in found for hook in hooks.values()]


def sets_state_itself(part: Any) -> bool:
    """Sentence-transformers' own layers have no use for it; `encode` and `predict` set it."""
    return top(type(part).__module__) == "sentence_transformers"


def module_of(code: Any) -> str:
    """Return the module whose code a function, a partial or an object runs; "" for none."""
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
