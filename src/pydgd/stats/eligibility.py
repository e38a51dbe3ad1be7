# SPDX-License-Identifier: BSD-3-Clause
"""Which genes could be called at all, from mean and dispersion alone: what is absent cannot be silenced."""

import numpy as np
from numpy.typing import NDArray

from pydgd.stats.arguments import Numbers, broadcast_arguments
from pydgd.stats.two_sided import DEFAULT_RULE, check_rule, log_p_value


def eligible_down(
    mu: Numbers, r: Numbers | None = None, *, level: float, rule: str = DEFAULT_RULE
) -> NDArray[np.bool_]:
    """Whether no read at all would be improbable enough: the p-value of a count of 0 is at most `level`.

    The count itself is not looked at, so leaving out genes that are not eligible does not bias the others'
    p-values.

    Args:
        mu: Expected reads, at least 0; shape ``(N, G)`` or any that broadcasts.
        r: Inverse dispersion, above 0 (variance mu + mu²/r); None or inf is Poisson.
        level: P-value to be reached, above 0 and at most 1.
        rule: One of `pydgd.stats.RULES`; under "up" no gene is eligible down.

    Returns:
        True where the gene can be called down, in the broadcast shape.

    Raises:
        ValueError: If a value is outside its range.

    Source:
        Tarone (1990), Biometrics 46:515, for leaving out hypotheses that cannot be rejected.

    Example:
        >>> eligible_down([1.0, 10.0, 1000.0], 2.0, level=0.05)
        array([False,  True,  True])
    """
    check_level(level)
    log_p, _ = log_p_value(0, mu, r, rule=rule)
    return np.asarray((log_p <= np.log(level)) & (rule != "up"))


def eligible_up(
    mu: Numbers, r: Numbers | None = None, *, level: float, rule: str = DEFAULT_RULE
) -> NDArray[np.bool_]:
    """Whether some number of reads would be improbable enough.

    Counts have no upper bound, so this is always so, save under the rule "down".

    Args:
        mu: Expected reads, at least 0; shape ``(N, G)`` or any that broadcasts.
        r: Inverse dispersion, above 0; None or inf is Poisson.
        level: P-value to be reached, above 0 and at most 1.
        rule: One of `pydgd.stats.RULES`; under "down" no gene is eligible up.

    Returns:
        True where the gene can be called up, in the broadcast shape.

    Raises:
        ValueError: If a value is outside its range.

    Example:
        >>> eligible_up([0.01, 10.0], 2.0, level=0.05)
        array([ True,  True])
    """
    check_level(level)
    check_rule(rule)
    reads, _, _ = broadcast_arguments(0, mu, r)
    return np.full(reads.shape, rule != "down")


def check_level(level: float) -> None:
    """Refuse what is no p-value to be reached.

    Args:
        level: Above 0 and at most 1.

    Raises:
        ValueError: If it is not.
    """
    if not 0 < level <= 1:
        raise ValueError(f"level is {level}; allowed is 0 < level <= 1, a p-value such as 0.05.")
