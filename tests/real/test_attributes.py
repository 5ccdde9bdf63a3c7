"""Attributes of real models that jobs set: once set back, nothing tells that they were."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rpnb.agent.worker_attributes import Attributes

pytest.importorskip("diffusers")
import torch
from diffusers import DDIMScheduler, DDPMPipeline, DDPMScheduler, UNet2DModel


def _pipeline() -> Any:
    blocks = {"down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",)}
    unet = UNet2DModel(8, layers_per_block=1, norm_num_groups=4, block_out_channels=(8,), **blocks)
    return DDPMPipeline(unet=unet, scheduler=DDPMScheduler())


def _noted(path: str, owner: Any, **more: Any) -> Attributes:
    found = Attributes({"owner": owner, **more})
    found.note([path], (), ())
    return found


def test_scheduler_that_is_set_back_is_the_one_before_in_the_pipelines_config_too() -> None:
    pipe = _pipeline()
    scheduler, config, held = pipe.scheduler, dict(pipe.config), list(vars(pipe))
    attributes = _noted("owner.scheduler", pipe)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    assert dict(pipe.config) != config
    attributes.set_back(["owner.scheduler"])
    assert pipe.scheduler is scheduler
    assert (dict(pipe.config), list(vars(pipe))) == (config, held)


def test_attribute_that_was_not_there_is_gone() -> None:
    pipe, layer = _pipeline(), torch.nn.Linear(1, 1)
    for owner in (pipe, layer):
        held = list(vars(owner))
        attributes = _noted("owner.heard", owner)
        owner.heard = 1
        attributes.set_back(["owner.heard"])
        assert list(vars(owner)) == held
        assert not hasattr(owner, "heard")


def test_attribute_of_a_model_within_objects_is_found() -> None:
    layer = torch.nn.Linear(1, 1)
    layer.scale = 1
    models = SimpleNamespace(base=torch.nn.Module())
    models.base.head = layer
    attributes = Attributes({"models": models})
    attributes.note(["models.base.head.scale"], (), ())
    layer.scale = 2
    attributes.set_back(["models.base.head.scale"])
    assert layer.scale == 1


def test_attribute_whose_writes_stand_is_remembered_as_it_was_before_them() -> None:
    layer = torch.nn.Linear(1, 1)
    layer.scale = 1
    attributes = _noted("owner.scale", layer)
    layer.scale = 2
    attributes.note(["owner.scale"], ["owner.scale"], ())
    attributes.set_back(["owner.scale"])
    assert layer.scale == 1


class _Own(torch.nn.Module):
    @property
    def level(self) -> int:
        return 1

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)


REFUSED = {
    "our own object": ("owner.x", SimpleNamespace(x=1)),
    "our own class of a module": ("owner.x", type("Own", (torch.nn.Module,), {})()),
    "a setter of its own": ("owner.x", type("Odd", (_Own,), {"__module__": "torch.odd"})()),
    "a property": ("owner.level", _Own()),
    "an attribute of nothing": ("owner.a.b", torch.nn.Linear(1, 1)),
    "a name that is not there": ("other.x", torch.nn.Linear(1, 1)),
    "a container": ("owner.x", {"x": 1}),
}


@pytest.mark.parametrize("about", REFUSED)
def test_attribute_that_is_not_known_to_be_undone_is_not_remembered(about: str) -> None:
    path, owner = REFUSED[about]
    # The class that is ours is `__main__`'s in a worker.
    found = Attributes({"owner": owner})
    found.note([path], (), [__name__.split(".")[0]])
    assert path not in found


def test_weights_in_place_of_others_are_not_kept_beside_them() -> None:
    layer = torch.nn.Linear(1, 1)
    layer.table = np.zeros(3 << 20)
    attributes = _noted("owner.table", layer)
    assert "owner.table" not in attributes
    layer.child = torch.nn.Linear(2048, 2049)
    assert "owner.child" not in _noted("owner.child", layer)


def test_model_that_is_gone_is_not_kept_alive() -> None:
    layer = torch.nn.Linear(1, 1)
    layer.scale = 1
    attributes, gone = Attributes({"owner": layer}), weakref.ref(layer)
    attributes.note(["owner.scale"], (), ())
    attributes._namespace.clear()
    del layer
    gc.collect()
    assert gone() is None
    attributes.set_back(["owner.scale"])
