# SPDX-License-Identifier: BSD-3-Clause
"""How the projections behind the means change with the representation, and what counts then say of it."""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from pydgd.core.activations import by_row
from pydgd.core.decoder import Decoder

# Genes whose rows are multiplied at a time: they stay in the cache between two products.
GENES_AT_ONCE = 2048


class ProjectionJacobian:
    """Derivatives in z of the projections that the output activation turns into means, exactly.

    The Jacobian of the last hidden layer is multiplied forward, D columns for one sample at a time; hidden
    layers of thousands of units would not let it be kept for a block of samples.

    Args:
        decoder: Frozen.
        z: Representations, (N, D), in the decoder's dtype.
    """

    def __init__(self, decoder: Decoder, z: Float[Tensor, "n latent"]) -> None:
        self._head = decoder.output_module.layer_means.weight
        self._layers: list[tuple[Tensor, Tensor]] = []
        for block in decoder.trunk.children():
            linear, activation, _ = block.children()
            projection = linear(z)
            slope = by_row(partial(_slope, activation))(projection)
            self._layers.append((linear.get_parameter("weight"), slope))
            z = by_row(activation)(projection)

    def of(self, sample: int) -> Float[Tensor, "genes latent"]:
        """Derivatives at one sample's representation, (G, D); without hidden layers the head's weights."""
        columns = None
        for weight, slope in self._layers:
            ahead = weight if columns is None else weight @ columns
            columns = ahead * slope[sample].unsqueeze(-1)
        return self._head if columns is None else self._head @ columns


def information(
    design: Float[Tensor, "genes latent"], weight: Float[Tensor, " genes"]
) -> Float[Tensor, "latent latent"]:
    """Sum over genes of weight times the outer product of the gene's row of the design with itself, float64.

    Args:
        design: Derivatives in z, (G, D).
        weight: Curvature in what the design is the derivative of, >= 0, (G,).
    """
    total = design.new_zeros(design.shape[1], design.shape[1])
    for start in range(0, len(design), GENES_AT_ONCE):
        rows = design[start : start + GENES_AT_ONCE]
        total.addmm_((rows * weight[start : start + GENES_AT_ONCE].unsqueeze(-1)).T, rows)
    return total.double()


def _slope(activation: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Derivative of an element-wise function at x."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        (slope,) = torch.autograd.grad(activation(x).sum(), x)
    return slope
