# SPDX-License-Identifier: BSD-3-Clause
"""Kernels from ``torch.compile``: the arithmetic of `pydgd.core.kernels`, fused into one pass over a block.

They serve CPUs and GPUs, in the dtype of the means. Each is made on first use, which takes a compiler and
some 20 seconds. The descent goes to `out`, if that is given.
"""

from collections.abc import Callable
from functools import cache
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from pydgd.core.dispersion import Dispersion
from pydgd.core.kernels import Terms, nb_deviance_only, nb_exact, poisson_exact
from pydgd.core.stirling import Tables, tables


def compiled_nb_rows(
    counts: Tensor, mu: Tensor, out: Tensor | None, dispersion: Dispersion, *, slope: bool
) -> Terms:
    """Row sums of `nb_exact`."""
    return _fused(_nb_rows)(*_bare(counts, mu, out), dispersion, slope=slope)


def compiled_deviance_rows(counts: Tensor, mu: Tensor, out: Tensor | None, r: Tensor) -> Terms:
    """Row sums of `nb_deviance_only`."""
    return _fused(_deviance_rows)(*_bare(counts, mu, out), r)


def compiled_poisson_rows(counts: Tensor, mu: Tensor, out: Tensor | None) -> Terms:
    """Row sums of `poisson_exact`."""
    return _fused(_poisson_rows)(*_bare(counts, mu, out))


def _bare(*tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    """Without what they are views of and whether they want gradients: each would have a kernel of its own."""
    return tuple(None if tensor is None else tensor.detach() for tensor in tensors)


# A kernel for each dtype, shape of r, one row or more, with and without gradients: more than torch keeps by
# default before it silently goes back to eager. Versions of torch that cannot be told keep their limit.
_VARIANTS: dict[str, Any] = (
    {"recompile_limit": 64} if "recompile_limit" in signature(torch.compile).parameters else {}
)


@cache
def _fused(kernel: Callable[..., Terms]) -> Callable[..., Terms]:
    return torch.compile(kernel, dynamic=True, **_VARIANTS)


def _nb_rows(counts: Tensor, mu: Tensor, out: Tensor | None, dispersion: Dispersion, *, slope: bool) -> Terms:
    return _summed(nb_exact(counts, mu, dispersion, _tables(mu), slope=slope), mu, out)


def _deviance_rows(counts: Tensor, mu: Tensor, out: Tensor | None, r: Tensor) -> Terms:
    return _summed(nb_deviance_only(counts, mu, r, _tables(mu)), mu, out)


def _poisson_rows(counts: Tensor, mu: Tensor, out: Tensor | None) -> Terms:
    return _summed(poisson_exact(counts, mu, _tables(mu)), mu, out)


def _tables(mu: Tensor) -> Tables:
    return tables(mu, short=mu.dtype == torch.float32, traced=True)


def _summed(found: Terms, mu: Tensor, out: Tensor | None) -> Terms:
    if out is not None and found.descent is not None:
        out.copy_(found.descent)
    return Terms(found.value.sum(-1, dtype=torch.float64), slope=found.slope, least=mu.amin(-1))
