# SPDX-License-Identifier: BSD-3-Clause
r"""What Stirling's formula leaves over, for ln Gamma and its two derivatives.

The negative binomial needs differences of ln Gamma at arguments up to 1e30, where the values themselves
cancel: at r = 1e8 three ``torch.lgamma`` in float32 are 185 nats off. So their leading terms are cancelled on
paper, and what is left are three small, positive, decreasing functions:

* ``delta(x) = ln Gamma(x) - (x - 1/2) ln x + x - ln(2 pi)/2``
* ``eta(x)   = x (ln x - psi(x)) - 1/2``
* ``zeta(x)  = -x eta'(x)``

Each is ``R(1/x^2) / x`` with R the transform of a positive measure (Binet's integrals). Ratios of polynomials
with positive coefficients therefore approximate R fast on all of x >= 1, and nothing cancels in them. Below
1, one step of the recurrence leads to x + 1. A ratio costs 3.5 ns per float64 element, torch's lgamma 11 and
digamma 17.

Source:
    Whittaker & Watson (1927), A Course of Modern Analysis, sections 12.3 to 12.33.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

Ratio = tuple[tuple[Tensor, ...], tuple[Tensor, ...]]

# Long: R as a ratio of polynomials in 1/x^2, which interpolates it (with 60 digits) at the squares of
#     Chebyshev nodes of [0, 1]; largest absolute errors over x >= 1: delta 1.6e-16, eta 1.3e-15, zeta
#     8.7e-15. Short: R as a minimax polynomial in 1/x, without denominator; largest errors: delta 1.7e-7, eta
#     3.2e-7. The short series for bd0 interpolates at Chebyshev nodes of [-0.4, 0.4]; relative error 1.1e-8.
_SHORT_DELTA = (
    (0.08333339916720506, 3.2919467863528696e-05, -0.003044674897038465, 0.0007399882132299857),
    (),
)
_SHORT_ETA = (
    (
        0.0833158358724121,
        0.00029799674792404824,
        -0.010011197563760973,
        0.004208595566904791,
        -0.0005952446530304434,
    ),
    (),
)
_SHORT_BD0 = (
    0.5,
    -0.33333346322529855,
    0.25000012108427405,
    -0.1999838769061905,
    0.16665163777345662,
    -0.1434113456190765,
    0.12551650885813487,
    -0.10347650624497959,
    0.09288696235483879,
    -0.134989617633994,
    0.12437301743846917,
)
_LONG_DELTA = (
    (
        0.08333333333333333,
        1.3916457163497478,
        7.628658481611223,
        17.226687252548665,
        16.503418552756322,
        6.201354486884961,
        0.7233517715906199,
        0.01245799137650666,
    ),
    (
        1.0,
        16.733081929530304,
        92.09214736746459,
        209.6377654473993,
        204.26130117298771,
        79.74019938751626,
        10.268330044642626,
        0.2568981786343668,
    ),
)
_LONG_ETA = (
    (
        0.08333333333333333,
        1.545031147447172,
        9.469500428775795,
        24.08356623875072,
        26.160959855639568,
        11.189900155000073,
        1.476284800295589,
        0.026642343425486825,
    ),
    (
        1.0,
        18.640373769366047,
        115.45042347466523,
        299.71020035406565,
        339.2460100034653,
        158.26247427496602,
        25.597540025477475,
        0.903841114957161,
    ),
)
_LONG_ZETA = (
    (
        0.08333333333333333,
        1.7275753802069895,
        11.904725264115209,
        34.15124952812468,
        41.753658176561466,
        19.806653637058997,
        2.747435124386337,
        0.03442776545973516,
    ),
    (
        1.0,
        21.030904562483627,
        148.92787930053095,
        449.8359997369529,
        607.0783316576465,
        350.40046595048614,
        74.72843068643834,
        3.993058626651467,
    ),
)


_LONG_BD0 = tuple(2 / (2 * j + 3) for j in range(8))


class Tables(NamedTuple):
    """Coefficients as scalar tensors of one dtype on one device, because ``addcmul`` of tensors is one pass.

    Attributes:
        delta: Ratio for the remainder of ln Gamma.
        eta: Ratio for the remainder of psi.
        bd0: For Loader's bd0; long 2/3, 2/5, 2/7, ...: of (ln((1+v)/(1-v)) / v - 2) / v^2 in powers of v^2,
            short: of (u - ln(1+u)) / u^2 in powers of u.
        short: Whether these are the short ones.
    """

    delta: Ratio
    eta: Ratio
    bd0: tuple[Tensor, ...]
    short: bool


def tables(like: Tensor, *, short: bool = False, traced: bool = False) -> Tables:
    """Coefficients in the dtype and on the device of `like`; the `short` ones are four times cheaper.

    Within what ``torch.compile`` traces, `traced` makes them numbers in the code.
    """
    delta, eta = (_SHORT_DELTA, _SHORT_ETA) if short else (_LONG_DELTA, _LONG_ETA)
    bd0 = _SHORT_BD0 if short else _LONG_BD0
    scalars = partial(_traced_scalars if traced else _scalars, like)
    return Tables(_ratio(scalars, delta), _ratio(scalars, eta), scalars(bd0), short)


def _ratio(
    scalars: Callable[[tuple[float, ...]], tuple[Tensor, ...]],
    coefficients: tuple[tuple[float, ...], tuple[float, ...]],
) -> Ratio:
    return scalars(coefficients[0]), scalars(coefficients[1])


def _scalars(like: Tensor, numbers: tuple[float, ...]) -> tuple[Tensor, ...]:
    return tuple(like.new_tensor(numbers).unbind())


def _traced_scalars(like: Tensor, numbers: tuple[float, ...]) -> tuple[Tensor, ...]:
    return tuple(like.new_full((), number) for number in numbers)


def over(u: Tensor, ratio: Ratio, out: Tensor | None = None) -> Tensor:
    """The function that `ratio` describes, at x = 1/u for u in [0, 1]; `out` may hold a `short` one."""
    top, bottom = ratio
    if not bottom:
        return polynomial(u, top, out).mul_(u)
    w = u * u
    return polynomial(w, top).mul_(u).div_(polynomial(w, bottom))


def polynomial(w: Tensor, coefficients: tuple[Tensor, ...], out: Tensor | None = None) -> Tensor:
    """Horner's scheme; the constant term is the first of `coefficients`."""
    *lower, last = coefficients
    value = torch.addcmul(lower.pop(), w, last, out=out)
    for coefficient in reversed(lower):
        value = torch.addcmul(coefficient, value, w, out=out)
    return value


def stirling_remainders(
    x: Float[Tensor, "*shape"],
) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """Remainders of Stirling's formulas for ln Gamma and its derivative.

    Args:
        x: Positive arguments.

    Returns:
        ``delta`` = ln Gamma(x) - (x - 1/2) ln x + x - ln(2 pi)/2 and ``eta`` = x (ln x - psi(x)) - 1/2, in
        float64 within 4e-16 and 2e-15 for x >= 1. Towards 0, delta grows like -ln(2 pi x)/2 and eta
        approaches 1/2.

    Example:
        >>> stirling_remainders(torch.tensor([0.5, 1.0, 1e6], dtype=torch.float64))
        (tensor([1.5343e-01, 8.1061e-02, 8.3333e-08], dtype=torch.float64),
         tensor([1.3518e-01, 7.7216e-02, 8.3333e-08], dtype=torch.float64))
    """
    eta = tables(x).eta
    u, next_u = 1 / x.clamp(min=1.0), 1 / (x + 1)
    eta_below = 0.5 - x * torch.log1p(1 / x) + (0.5 + over(next_u, eta)) * (x * next_u)
    return stirling_delta(x), torch.where(x < 1, eta_below, over(u, eta))


def stirling_delta(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The first of `stirling_remainders` alone.

    Args:
        x: Positive arguments.

    Returns:
        The remainder for ln Gamma, to the bit.
    """
    delta = tables(x).delta
    below = over(1 / (x + 1), delta) + (x + 0.5) * torch.log1p(1 / x) - 1
    return torch.where(x < 1, below, over(1 / x.clamp(min=1.0), delta))


def short_remainders(x: Float[Tensor, "*shape"]) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
    """`stirling_remainders` in float32, within 5e-7 max(1, delta): a fifth of the time.

    One step of the recurrence is taken for every argument; where x is large, what cancels there is 1.

    Args:
        x: Positive arguments, float32.

    Returns:
        ``delta`` and ``eta``.
    """
    chosen = tables(x, short=True)
    next_u, log_step = (x + 1).reciprocal_(), x.reciprocal().log1p_()
    half = over(next_u, chosen.eta).add_(0.5).mul_(x).mul_(next_u)
    eta = half.addcmul_(log_step, x, value=-1.0).add_(0.5)
    return over(next_u, chosen.delta).addcmul_(log_step, x + 0.5).sub_(1.0), eta


def stirling_zeta(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Remainder of Stirling's formula for the trigamma function.

    Args:
        x: Positive arguments, float64 for full accuracy.

    Returns:
        ``x^2 psi'(x) - x - 1/2 - eta(x)``, which is ``-x eta'(x)``, within 1e-14 of it.

    Example:
        >>> stirling_zeta(torch.tensor([1.0, 1e6], dtype=torch.float64))
        tensor([6.7718e-02, 8.3333e-08], dtype=torch.float64)
    """
    ratio = _ratio(partial(_scalars, x), _LONG_ZETA)
    next_u = 1 / (x + 1)
    trigamma = (over(next_u, ratio) + over(next_u, tables(x).eta) + x + 1.5) * next_u.square()
    below = 0.5 + x.square() * trigamma - x - stirling_remainders(x)[1]
    return torch.where(x < 1, below, over(1 / x.clamp(min=1.0), ratio))
