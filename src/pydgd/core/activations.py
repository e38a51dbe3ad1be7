# SPDX-License-Identifier: BSD-3-Clause
"""The functions that turn an output layer's projection into a mean > 0, each with its inverse."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

# Smallest mean that an activation returns. At 1e-38 (projection -87) the gradient k/m of ten reads overflows
# float32, and inf * 0 = NaN would reach the weights. At 1e-30 that of 1e8 reads is 1e38, still a float32.
SMALLEST_MEAN = 1e-30


def softplus(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Smooth ramp :math:`\ln(1 + e^x)`, never below `SMALLEST_MEAN`.

    Args:
        x: Projection, any real number.

    Returns:
        Means > 0, unbounded above; relative error at machine precision above 1e-22 (float64: 1e-14).

    Example:
        >>> softplus(torch.tensor([-200.0, 0.0, 1e6]))
        tensor([1.0000e-30, 6.9315e-01, 1.0000e+06])
    """
    # torch turns to the identity above `threshold`: its 20 would leave an error of 2e-9, visible in float64.
    return functional.softplus(x, threshold=40.0).add_(SMALLEST_MEAN)


def inverse_softplus(y: Float[Tensor, "*shape"], *, floor: float = 1e-8) -> Float[Tensor, "*shape"]:
    """The projection at which `softplus` returns `y`.

    Args:
        y: Means >= 0.
        floor: Smaller means are raised to this one: a gene without reads gets a finite projection, -18.4.

    Returns:
        Projection, in the dtype of `y`.

    Example:
        >>> inverse_softplus(torch.tensor([0.0, 1.0, 1e6]))
        tensor([-1.8421e+01,  5.4132e-01,  1.0000e+06])
    """
    y = y.clamp_min(floor)
    # ln(e^y - 1) overflows from 89 on in float32; this form does not, and expm1 keeps a tiny y exact.
    return y + torch.log(-torch.expm1(-y))


def sigmoid(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Logistic function :math:`1 / (1 + e^{-x})`, never below `SMALLEST_MEAN`.

    Args:
        x: Projection, any real number.

    Returns:
        Means in (0, 1]: no gene expects more reads than the scaling factor.

    Example:
        >>> sigmoid(torch.tensor([-200.0, 0.0]))
        tensor([1.0000e-30, 5.0000e-01])
    """
    return torch.sigmoid(x) + SMALLEST_MEAN


def inverse_sigmoid(y: Float[Tensor, "*shape"], *, margin: float = 1e-6) -> Float[Tensor, "*shape"]:
    """The projection at which `sigmoid` returns `y`.

    Args:
        y: Means >= 0.
        margin: Values are clipped to (margin, 1 - margin), where the gradient is still alive.

    Returns:
        Projection, in the dtype of `y`.

    Example:
        >>> inverse_sigmoid(torch.tensor([0.0, 0.5, 7.0], dtype=torch.float64))
        tensor([-13.8155,   0.0000,  13.8155], dtype=torch.float64)
    """
    return torch.logit(y, eps=margin)


def softplus_log_slope(y: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Relative change of a softplus mean with its projection, :math:`d \ln y / d x = (1 - e^{-y}) / y`.

    Args:
        y: Means > 0.

    Returns:
        From 1 (small means: the link is a logarithm) down to 1/y (large ones: the identity).

    Example:
        >>> softplus_log_slope(torch.tensor([1e-9, 100.0]))
        tensor([1.0000, 0.0100])
    """
    return -torch.expm1(-y) / y


def sigmoid_log_slope(y: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    r"""Relative change of a sigmoid mean with its projection, :math:`d \ln y / d x = 1 - y`.

    Args:
        y: Means in (0, 1].

    Returns:
        From 1 (small means: the link is a logarithm) down to 0.

    Example:
        >>> sigmoid_log_slope(torch.tensor([0.25]))
        tensor([0.7500])
    """
    return 1.0 - y


class OutputActivation(NamedTuple):
    """An activation, its inverse and its slope.

    Attributes:
        forward: From projection to mean.
        inverse: From mean to projection.
        log_slope: From mean to the derivative of the mean's logarithm in the projection.
    """

    forward: Callable[[Tensor], Tensor]
    inverse: Callable[[Tensor], Tensor]
    log_slope: Callable[[Tensor], Tensor]


OUTPUT_ACTIVATIONS = {
    "softplus": OutputActivation(softplus, inverse_softplus, softplus_log_slope),
    "sigmoid": OutputActivation(sigmoid, inverse_sigmoid, sigmoid_log_slope),
}


def by_row(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The same element-wise function, one row after the other: a row's bits then do not depend on its place.

    Torch computes the last elements of an array by another routine than the rest (elu, sigmoid, softplus);
    they differ by 1e-7. Matrix products, logarithms and sums do not depend on the place.

    Args:
        function: From a tensor to one of the same shape.

    Example:
        >>> by_row(torch.exp)(torch.zeros(2, 3))
        tensor([[1., 1., 1.],
                [1., 1., 1.]])
    """
    return partial(_each_row, function)


def _each_row(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return torch.cat([function(row) for row in torch.split(x, 1)])
