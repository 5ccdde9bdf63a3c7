"""Attributes of real models that jobs set: once set back, nothing tells that they were."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rpnb.agent.worker_attributes import Attributes


@pytest.fixture(scope="module")
def torch() -> Any:
    """Imported by who needs it, for it takes seconds."""
    return pytest.importorskip("torch")


@pytest.fixture
def pipe() -> Any:
    """A pipeline of random weights."""
    pytest.importorskip("diffusers")
    from diffusers import DDPMPipeline, DDPMScheduler, UNet2DModel

    blocks = {"down_block_types": ("DownBlock2D",), "up_block_types": ("UpBlock2D",)}
    unet = UNet2DModel(8, layers_per_block=1, norm_num_groups=4, block_out_channels=(8,), **blocks)
    return DDPMPipeline(unet=unet, scheduler=DDPMScheduler())


def _noted(path: str, owner: Any, **more: Any) -> Attributes:
    found = Attributes({"owner": owner, **more})
    found.note([path], (), ())
    return found


def test_scheduler_that_is_set_back_is_the_one_before_in_the_pipelines_config_too(
    pipe: Any,
) -> None:
    from diffusers import DDIMScheduler

    scheduler, config, held = pipe.scheduler, dict(pipe.config), list(vars(pipe))
    attributes = _noted("owner.scheduler", pipe)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    assert dict(pipe.config) != config
    attributes.set_back(["owner.scheduler"])
    assert pipe.scheduler is scheduler
    assert (dict(pipe.config), list(vars(pipe))) == (config, held)


def test_attribute_that_was_not_there_is_gone(pipe: Any, torch: Any) -> None:
    for owner in (pipe, torch.nn.Linear(1, 1)):
        held = list(vars(owner))
        attributes = _noted("owner.heard", owner)
        owner.heard = 1
        attributes.set_back(["owner.heard"])
        assert list(vars(owner)) == held
        assert not hasattr(owner, "heard")


def test_attribute_of_a_model_within_objects_is_found(torch: Any) -> None:
    layer = torch.nn.Linear(1, 1)
    layer.scale = 1
    models = SimpleNamespace(base=torch.nn.Module())
    models.base.head = layer
    attributes = Attributes({"models": models})
    attributes.note(["models.base.head.scale"], (), ())
    layer.scale = 2
    attributes.set_back(["models.base.head.scale"])
    assert layer.scale == 1


def test_attribute_whose_writes_stand_is_remembered_as_it_was_before_them(torch: Any) -> None:
    layer = torch.nn.Linear(1, 1)
    layer.scale = 1
    attributes = _noted("owner.scale", layer)
    layer.scale = 2
    attributes.note(["owner.scale"], ["owner.scale"], ())
    attributes.set_back(["owner.scale"])
    assert layer.scale == 1


# What an owner is, with torch's `nn` at hand, and which of its attributes is asked for.
REFUSED = {
    "our own object": ("owner.x", "SimpleNamespace(x=1)"),
    "our own class of a module": ("owner.x", "type('Own', (nn.Module,), {})()"),
    "a setter of its own": (
        "owner.x",
        "type('Odd', (nn.Module,), {'__module__': 'torch.odd', '__setattr__': setter})()",
    ),
    "a property": (
        "owner.level",
        "type('Odd', (nn.Module,), {'__module__': 'torch.odd', 'level': property(len)})()",
    ),
    "an attribute of nothing": ("owner.a.b", "nn.Linear(1, 1)"),
    "a name that is not there": ("other.x", "nn.Linear(1, 1)"),
    "a container": ("owner.x", "{'x': 1}"),
}


def _setter(owner: Any, name: str, value: Any) -> None:
    owner.__dict__[name] = value


@pytest.mark.parametrize("about", REFUSED)
def test_attribute_that_is_not_known_to_be_undone_is_not_remembered(about: str, torch: Any) -> None:
    path, text = REFUSED[about]
    space = {"SimpleNamespace": SimpleNamespace, "nn": torch.nn, "setter": _setter}
    found = Attributes({"owner": eval(text, {**space, "__name__": "__main__"})})
    found.note([path], (), ())
    assert path not in found


def test_weights_in_place_of_others_are_not_kept_beside_them(torch: Any) -> None:
    layer = torch.nn.Linear(1, 1)
    layer.table = np.zeros(3 << 20)
    attributes = _noted("owner.table", layer)
    assert "owner.table" not in attributes
    layer.child = torch.nn.Linear(2048, 2049)
    assert "owner.child" not in _noted("owner.child", layer)


def test_model_that_is_gone_is_not_kept_alive(torch: Any) -> None:
    layer = torch.nn.Linear(1, 1)
    layer.scale = 1
    attributes, gone = Attributes({"owner": layer}), weakref.ref(layer)
    attributes.note(["owner.scale"], (), ())
    attributes._namespace.clear()
    del layer
    gc.collect()
    assert gone() is None
    attributes.set_back(["owner.scale"])
