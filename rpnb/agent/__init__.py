"""The target's side: keeper, worker, relay, and the files they share.

Each piece may be killed at any time; what must not be lost lies in the files of
one `directory.RunDirectory`, written by whoever makes it. Standard library only
(the worker also imports runpod and cloudpickle): this room travels to the target.
"""
