# SPDX-License-Identifier: BSD-3-Clause
"""Tails of count distributions at twenty-five digits, by integrals unlike anything in the code under test."""

from collections.abc import Callable

import pytest
from mpmath import mp, mpf

DIGITS = 25


class Oracle:
    """Log probabilities as mpmath numbers; r = inf is Poisson."""

    @staticmethod
    def log_mass(k: float, mu: float, r: float) -> mpf:
        """ln f(k) from three log-gammas, with the hundred digits that they lose at r = 1e30 and more."""
        with mp.workdps(DIGITS + 100):
            k, mu, r = mpf(k), mpf(mu), mpf(r)
            if mp.isinf(r):
                return k * mp.log(mu) - mu - mp.loggamma(k + 1)
            gammas = mp.loggamma(k + r) - mp.loggamma(r) - mp.loggamma(k + 1)
            return gammas + k * mp.log(mu / (mu + r)) - r * mp.log1p(mu / r)

    @classmethod
    def log_upper(cls, k: float, mu: float, r: float) -> mpf:
        """ln P(X >= k), k >= 1: the incomplete beta (Poisson: gamma) integral over t = x e^-w."""
        front = mp.log(k) + cls.log_mass(k, mu, r)
        with mp.workdps(DIGITS):
            k, mu, r = mpf(k), mpf(mu), mpf(r)
            if mp.isinf(r):
                return front + _log_integral(lambda w: mp.exp(-k * w - mu * mp.expm1(-w)), 1 / k, 1 / k)
            y = r / (mu + r)
            return front + _log_integral(
                lambda w: mp.exp(-k * w + (r - 1) * mp.log1p(-mp.expm1(-w) * mu / r)) / y,
                min(1 / k, y),
                1 / k,
            )

    @classmethod
    def log_lower(cls, k: float, mu: float, r: float) -> mpf:
        """ln P(X <= k) by the complementary integral."""
        front = cls.log_mass(k, mu, r)
        with mp.workdps(DIGITS):
            k, mu, r = mpf(k), mpf(mu), mpf(r)
            if mp.isinf(r):
                integrand = lambda v: mp.exp(-mu * v + k * mp.log1p(v))  # noqa: E731
                return front + mp.log(mu) + _log_integral(integrand, 1 / mu, 1 / mu)
            return (
                front
                + mp.log(k + r)
                + _log_integral(
                    lambda w: mp.exp(-r * w + k * mp.log1p(-mp.expm1(-w) * r / mu)), min(1 / r, 1 / mu), 1 / r
                )
            )


def _log_integral(integrand: Callable[[mpf], mpf], shortest: mpf, longest: mpf) -> mpf:
    """Log of the integral from 0 to infinity of a function whose scales lie between the two or near one."""
    # In units of `longest`: quad stops at an absolute error, which 1e-25 is not for an integral of 1e-30.
    edges, edge = [mpf(0)], shortest / longest / 100
    while edge < max(100, 100 / longest):
        edges.append(edge)
        edge *= 4
    return mp.log(longest) + mp.log(mp.quad(lambda t: integrand(t * longest), [*edges, mp.inf]))


@pytest.fixture(scope="session")
def oracle() -> type[Oracle]:
    """Exact log mass and log tails."""
    return Oracle
