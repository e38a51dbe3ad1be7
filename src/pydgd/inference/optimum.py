# SPDX-License-Identifier: BSD-3-Clause
"""What a search hands back."""

from typing import NamedTuple

from jaxtyping import Float, Int
from torch import Tensor


class Optimum(NamedTuple):
    """Where the search of each sample ended, and how surely it is the bottom.

    Attributes:
        z: Representations, (N, D), float64.
        value: Objective there, nats, (N,), float64.
        decrement: What one more step promises, nats, (N,): of Newton's method, or by L-BFGS's own estimate of
            the curvature.
        evaluations: Evaluations of the objective, (N,).
    """

    z: Float[Tensor, "n latent"]
    value: Float[Tensor, " n"]
    decrement: Float[Tensor, " n"]
    evaluations: Int[Tensor, " n"]
