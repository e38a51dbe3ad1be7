# SPDX-License-Identifier: BSD-3-Clause
r"""P-values of single counts by named rules, as logarithms.

======================  =====================================================================================
rule                    p-value of k reads
======================  =====================================================================================
``equal-tail mid-p``    min(1, 2 min(P(X<=k) - f(k)/2, P(X>=k) - f(k)/2)), the default
``equal-tail``          min(1, 2 min(P(X<=k), P(X>=k)))
``minimum-likelihood``  probability of all outcomes at most as probable as k
``up``                  P(X>=k) - f(k)/2: one-sided mid-p, small where there are more reads than expected
``down``                P(X<=k) - f(k)/2: one-sided mid-p, small where there are fewer
======================  =====================================================================================

The mid-p rules halve the count's own mass, so that p is centred on uniform under the null although counts are
discrete; at low means the rules without it call hardly anything. Minimum likelihood is nearly one-sided for a
skewed distribution: at mean 50, r = 2 its shares of alpha are 0.03 down and 0.95 up.

Source:
    Lancaster (1961), JASA 56:223, for mid-p; Gibbons & Pratt (1975), The American Statistician 29:20, for
    minimum likelihood.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pydgd.stats.arguments import SMALLEST_MEAN, FloatArray, Numbers, broadcast_arguments, in_blocks
from pydgd.stats.integer_search import first_integer
from pydgd.stats.mass import block_log_mass
from pydgd.stats.tails import Tails, tails_of

DEFAULT_RULE = "equal-tail mid-p"

SMALLEST_P = 2.3e-308
"""What a p-value that float64 cannot hold is written as; its logarithm stays exact."""

TIE = 1e-12
"""Outcomes whose log probabilities differ by less than this share of them, or of 1, are equally probable: the
log mass is good to 1e-13, so that no tie is broken by rounding, and p is exact to far below 1e-10."""

Arguments = tuple[FloatArray, FloatArray, FloatArray]


def log_p_value(
    counts: Numbers, mu: Numbers, r: Numbers | None = None, *, rule: str = DEFAULT_RULE
) -> tuple[FloatArray, NDArray[np.int8]]:
    """Log p-value of each count and the direction in which it deviates.

    Args:
        counts: Reads, at least 0; shape ``(N, G)`` or any that broadcasts.
        mu: Expected reads, at least 0. For counts above 0 it is taken as at least 1e-10, so that no p-value
            is 0.
        r: Inverse dispersion, above 0 (variance mu + mu²/r); None or inf is Poisson.
        rule: One of `RULES`; see the module's table.

    Returns:
        ln p (natural, at most 0, never -inf or NaN), and +1 where the sample has more reads than expected
        (the smaller mid-p tail is the upper one) or -1 where it has fewer. The direction does not depend on
        the rule.

    Raises:
        ValueError: If a value is outside its range or the rule is unknown.

    Source:
        See the module's docstring.

    Example:
        >>> log_p, direction = log_p_value([2, 60], 20.0, r=5.0)
        >>> to_p_value(log_p).round(4), direction
        (array([0.0063, 0.0038]), array([-1,  1], dtype=int8))
    """
    arguments = broadcast_arguments(counts, mu, r)
    two = tails_of(arguments)
    return log_p_of(two, arguments, rule=rule), two.direction


def to_p_value(log_p: Numbers) -> FloatArray:
    """Leave log space: exp(log_p), but at least 2.3e-308, so that no p-value is 0.

    Example:
        >>> to_p_value([0.0, -1e5])
        array([1.0e+000, 2.3e-308])
    """
    return np.asarray(np.maximum(np.exp(np.asarray(log_p, dtype=np.float64)), SMALLEST_P))


def log_p_of(two: Tails, arguments: Arguments, *, rule: str = DEFAULT_RULE) -> FloatArray:
    """`log_p_value` from tails that are there already, and the arguments that they belong to."""
    check_rule(rule)
    return np.asarray(np.minimum(RULES[rule](two, arguments), 0))


def check_rule(rule: str) -> None:
    """Refuse names that are not in `RULES`."""
    if rule not in RULES:
        raise ValueError(f"rule is {rule!r}; allowed are {', '.join(map(repr, RULES))}.")


def _equal_tail_mid_p(two: Tails, _: Arguments) -> FloatArray:
    return np.asarray(two.log_smaller_mid_tail + np.log(2))


def _equal_tail(two: Tails, _: Arguments) -> FloatArray:
    return np.asarray(np.minimum(two.log_lower, two.log_upper) + np.log(2))


def _up(two: Tails, _: Arguments) -> FloatArray:
    return two.log_mid_upper


def _down(two: Tails, _: Arguments) -> FloatArray:
    return two.log_mid_lower


def _minimum_likelihood(two: Tails, arguments: Arguments) -> FloatArray:
    k, mu, inverse_r = arguments
    above_mode = k > _mode(mu, inverse_r)
    own = np.where(above_mode, two.log_upper, two.log_lower)
    columns = (k, np.asarray(np.maximum(mu, SMALLEST_MEAN)), inverse_r, two.log_mass, own)
    return np.asarray(in_blocks(_block_minimum_likelihood, columns, (float,))[0])


def _mode(mu: FloatArray, inverse_r: FloatArray) -> FloatArray:
    """The most probable count; at r <= 1 the mass falls from 0 on."""
    return np.asarray(np.floor(np.maximum(mu * (1 - inverse_r), 0)))


def _block_minimum_likelihood(
    k: FloatArray, mu: FloatArray, inverse_r: FloatArray, log_mass: FloatArray, log_own_tail: FloatArray
) -> tuple[FloatArray]:
    """Log of both tails: the one that k begins, and the outcomes across the mode that are no likelier."""
    mode = _mode(mu, inverse_r)
    peak = block_log_mass(mode, mu, inverse_r)
    limit = log_mass + TIE * np.maximum(1, -log_mass)
    across = np.where(k > mode, -1.0, 1.0)

    def probe(distance: FloatArray, places: NDArray[np.intp]) -> tuple[NDArray[np.bool_], FloatArray]:
        outcome = mode[places] + across[places] * distance
        columns = np.maximum(outcome, 0), mu[places], inverse_r[places]
        mass = block_log_mass(*columns)
        depth, wanted = np.maximum(peak[places] - mass, 0), np.maximum(peak[places] - limit[places], 0)
        # Newton's step for the root of the depth, which is nearly linear; the mass being log-concave wherever
        # there is another side, its slope is at least the average one.
        slope = np.maximum(-across[places] * _log_ratio(*columns), depth / np.maximum(distance, 1))
        step = 2 * (np.sqrt(depth * wanted) - depth) / np.maximum(slope, np.finfo(np.float64).tiny)
        return (outcome < 0) | (mass <= limit[places]), distance + step

    # Below the mode there is nothing further than mode + 1 steps away.
    guess = np.minimum(np.abs(k - mode), np.where(across < 0, mode + 1, np.inf))
    edge = mode + across * first_integer(probe, guess)
    opposite = tails_of((np.maximum(edge, 0), mu, inverse_r))
    log_opposite = np.where(across > 0, opposite.log_upper, opposite.log_lower)
    both = np.where(edge < 0, log_own_tail, np.logaddexp(log_own_tail, log_opposite))
    return (np.where(peak <= limit, 0, both),)


def _log_ratio(k: FloatArray, mu: FloatArray, inverse_r: FloatArray) -> FloatArray:
    """Slope of the log mass at k: log of what is above k by half a read over what is below by as much."""
    return np.log((1 + np.maximum(k - 0.5, 0) * inverse_r) / (1 + mu * inverse_r)) + np.log(mu / (k + 0.5))


RULES: dict[str, Callable[[Tails, Arguments], FloatArray]] = {
    DEFAULT_RULE: _equal_tail_mid_p,
    "equal-tail": _equal_tail,
    "minimum-likelihood": _minimum_likelihood,
    "up": _up,
    "down": _down,
}
"""Rule name -> log p-value from the tails and what they were computed from."""
