"""A library whose import replaces a function of another one."""

import modelkit

STATE = ()
_load = modelkit.LOAD


def LOAD(key: object) -> object:
    model = _load(key)
    model.cfg["patched"] = 1
    return model


modelkit.LOAD = LOAD
