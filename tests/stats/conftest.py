# SPDX-License-Identifier: BSD-3-Clause
"""Tails of count distributions at twenty-five digits, by sums and integrals unlike the code under test."""

from collections.abc import Callable
from functools import cache

import pytest
from mpmath import mp, mpf

DIGITS = 25

# Of the terms that are summed; beyond, and where too little is left of 1, tails are integrated.
FEW, LEAST_REST = 1_000, mpf(10) ** -DIGITS


class Oracle:
    """Probabilities and their logarithms as mpmath numbers; r = inf is Poisson."""

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
        if k <= FEW and (rest := cls._summed(k, mu, r)[1]) > LEAST_REST:
            return mp.log(rest)
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
        """ln P(X <= k) by the complementary integral, or summed."""
        if k <= FEW:
            return mp.log(cls._summed(k + 1, mu, r)[0])
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

    @classmethod
    @cache
    def _summed(cls, k: float, mu: float, r: float) -> tuple[mpf, mpf]:
        """P(X < k), mass by mass, and P(X >= k): with digits enough for the rest up to 1."""
        with mp.workdps(3 * DIGITS + 100):
            mu, r = mpf(mu), mpf(r)
            poisson = mp.isinf(r)
            mass = mp.exp(-mu if poisson else -r * mp.log1p(mu / r))
            total = mpf(0)
            for j in range(int(k)):
                total += mass
                mass *= mu / (j + 1) if poisson else (j + r) / (j + 1) * (mu / (mu + r))
            return total, 1 - total

    @classmethod
    @cache
    def tails(cls, k: float, mu: float, r: float) -> tuple[mpf, mpf, mpf]:
        """P(X <= k), P(X >= k) and f(k), the smaller of the two tails by its own integral; k >= 0."""
        with mp.workdps(DIGITS):
            mass = mp.exp(cls.log_mass(k, mu, r))
            if k == 0:
                return mass, mpf(1), mass
            if k > mu or cls.log_mass(0, mu, r) > -mp.log(2):
                upper = mp.exp(cls.log_upper(k, mu, r))
                return 1 - upper + mass, upper, mass
            lower = mp.exp(cls.log_lower(k, mu, r))
            return lower, 1 - lower + mass, mass

    @classmethod
    def log_sf(cls, k: float, mu: float, r: float) -> mpf:
        """ln P(X > k)."""
        with mp.workdps(DIGITS):
            return mp.log(cls.tails(k + 1, mu, r)[1])

    @classmethod
    def log_p(cls, k: float, mu: float, r: float, rule: str) -> mpf:
        """Log p-value by the definition of the rule."""
        with mp.workdps(DIGITS):
            lower, upper, mass = cls.tails(k, mu, r)
            p = {
                "equal-tail mid-p": lambda: 2 * min(lower - mass / 2, upper - mass / 2),
                "equal-tail": lambda: 2 * min(lower, upper),
                "minimum-likelihood": lambda: cls._no_likelier(k, mu, r),
                "up": lambda: upper - mass / 2,
                "down": lambda: lower - mass / 2,
            }[rule]()
            return mp.log(min(p, 1))

    @classmethod
    def _no_likelier(cls, k: float, mu: float, r: float) -> mpf:
        """Probability of all outcomes at most as probable as k, the furthest but one found by bisection."""
        mode = int(mp.floor(max(mpf(mu) * (1 - 1 / mpf(r)), 0)))
        limit = cls.log_mass(k, mu, r) + mpf(10) ** -DIGITS

        def improbable(outcome: int) -> bool:
            return outcome < 0 or cls.log_mass(outcome, mu, r) <= limit

        if improbable(mode):
            return mpf(1)
        inside, outside = mode, -1 if k > mode else 2 * int(k + mode) + 2
        while not improbable(outside):
            outside *= 2
        while abs(outside - inside) > 1:
            middle = (inside + outside) // 2
            inside, outside = (inside, middle) if improbable(middle) else (middle, outside)
        lower, upper, _ = cls.tails(k, mu, r)
        if outside < 0:
            return upper
        beyond = cls.tails(outside, mu, r)
        return upper + beyond[0] if k > mode else lower + beyond[1]


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
