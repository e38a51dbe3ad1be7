# SPDX-License-Identifier: BSD-3-Clause
"""A second device without any hardware: torch's ``meta``, with values.

Its tensors are on the processor inside; what mixes them with the processor's own fails as it would on a GPU.
"""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map_only

SECOND = torch.device("meta")
_CROSSES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}


class Elsewhere(Tensor):
    """A tensor of the second device."""

    @staticmethod
    def __new__(cls, there: Tensor) -> "Elsewhere":
        """Take the shape of a tensor, whose values the device holds."""
        return Tensor._make_wrapper_subclass(
            cls, there.shape, strides=there.stride(), dtype=there.dtype, device=SECOND
        )

    def __init__(self, there: Tensor) -> None:
        self.there = there

    def tolist(self) -> Any:
        """Values as Python's numbers."""
        return self.there.tolist()

    def new_tensor(self, data: Any, **options: Any) -> Tensor:
        """Of these values, which torch would not ask the mode for."""
        return Elsewhere(self.there.new_tensor(data, **options))

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute on the second device."""
        return computed(func, args, kwargs or {})


class SecondDevice(TorchDispatchMode):
    """While entered, ``meta`` holds values; with `single`, none of float64."""

    def __init__(self, *, single: bool = False) -> None:
        super().__init__()
        self._single = single

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute where the tensors are."""
        found = computed(func, args, kwargs or {})
        if self._single:
            leaves = tree_flatten(found)[0]
            if any(isinstance(leaf, Elsewhere) and leaf.dtype == torch.float64 for leaf in leaves):
                raise TypeError(f"{func}: the second device knows no float64")
        return found


def computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What an operation gives, on the device of its tensors or the one asked for."""
    leaves = tree_flatten((args, kwargs))[0]
    there = [leaf for leaf in leaves if isinstance(leaf, Elsewhere)]
    here = [leaf for leaf in leaves if isinstance(leaf, Tensor) and not isinstance(leaf, Elsewhere)]
    asked = kwargs.get("device")
    if not there and asked != SECOND:
        return func(*args, **kwargs)
    if there and func not in _CROSSES and any(tensor.ndim for tensor in here):
        raise RuntimeError(f"{func}: tensors on two devices, {[tuple(tensor.shape) for tensor in here]}")
    bare_args, bare = tree_map_only(Elsewhere, lambda x: x.there, (args, kwargs))
    if asked is not None:
        bare["device"] = "cpu"
    found = func(*bare_args, **bare)
    if asked is not None and torch.device(asked) != SECOND:
        return found
    if func is torch.ops.aten.copy_.default:
        return args[0]
    return return_and_correct_aliasing(func, args, kwargs, tree_map_only(Tensor, Elsewhere, found))
