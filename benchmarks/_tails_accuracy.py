# SPDX-License-Identifier: BSD-3-Clause
"""Errors of tails and p-values at random points of the whole range, against mpmath; ours and scipy's."""

import importlib.util
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mpmath import mp
from scipy.special import betainc
from scipy.stats import nbinom, poisson

from _figures import Figures
from pydgd import stats

BOUND = 1e-10


def load_oracle():
    """The tests' oracle, from its file."""
    path = Path(__file__).resolve().parents[1] / "tests" / "stats" / "conftest.py"
    spec = importlib.util.spec_from_file_location("tails_oracle", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Oracle


def random_point(rng) -> tuple[float, float, float]:
    """One count, mean and r of the whole range: anywhere, near the mean, a multiple of it, or a few reads."""
    r = (np.inf, 10 ** rng.uniform(-30, 30), 10 ** rng.uniform(-3, 3), 10 ** rng.uniform(-3, 3))[
        rng.integers(4)
    ]
    mu = 10 ** rng.uniform(-8, 8)
    spread = np.sqrt(mu + mu**2 / max(r, 0.5))
    near = mu + rng.normal() * 10 ** rng.uniform(-1, 1.3) * spread
    k = (10 ** rng.uniform(0, 8), near, mu * 10 ** rng.uniform(-2, 1), rng.integers(0, 10), 0)[
        rng.integers(5)
    ]
    return float(np.floor(np.clip(k, 0, 1e8))), mu, r


def exact_logarithms(points: list[tuple[float, float, float]]) -> dict[str, np.ndarray]:
    """What is judged, by name: logarithms from mpmath's twenty-five digits, one for each point."""
    oracle = load_oracle()
    columns = {name: [] for name in (*stats.RULES, "log_cdf", "log_sf", "P(X >= k)")}
    for point in points:
        lower, upper, _ = oracle.tails(*point)
        for rule in stats.RULES:
            columns[rule].append(oracle.log_p(*point, rule))
        columns["log_cdf"].append(mp.log(lower))
        columns["log_sf"].append(oracle.log_sf(*point))
        columns["P(X >= k)"].append(mp.log(upper))
    return {name: np.array([float(value) for value in values]) for name, values in columns.items()}


def errors(found: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Errors of logarithms in units of max(1, |ln p|); infinite where there is none."""
    with np.errstate(invalid="ignore"):
        gap = np.abs(found - exact) / np.maximum(1, np.abs(exact))
    return np.where(np.isfinite(found), gap, np.inf)


def add_accuracy(figures: Figures, rng, n: int) -> None:
    """Every rule and both distribution functions, as users call them, in the far tails and at k = 0."""
    points = [random_point(rng) for _ in range(n)]
    k, mu, r = np.array(points).T
    exact = exact_logarithms(points)
    for name in (*stats.RULES, "log_cdf", "log_sf"):
        found = (
            stats.log_p_value(k, mu, r, rule=name)[0]
            if name in stats.RULES
            else getattr(stats, name)(k, mu, r)
        )
        off = errors(found, exact[name])
        add_error(figures, f"{name}, k = 0", off[k == 0], exact[name][k == 0])
        for side, chosen in {"up": k > mu, "down": (k <= mu) & (k > 0)}.items():
            # The small end of a one-sided tail is on one side only.
            deep = name not in {"up", "log_sf"} if side == "down" else name not in {"down", "log_cdf"}
            add_error(
                figures,
                f"{name}, k {'>' if side == 'up' else '<='} mean",
                off[chosen],
                exact[name][chosen],
                deep=deep,
            )
    add_scipy(figures, (k, mu, r), exact)


def add_error(figures: Figures, what: str, off: np.ndarray, exact: np.ndarray, *, deep: bool = False) -> None:
    """Largest error, and how deep the points reach: to ln p = -1e5 and beyond where `deep`."""
    what = f"error of {what}, {off.size} points, ln p from {exact.min():.1e}"
    ok = off.max() <= BOUND and (not deep or exact.min() < -1e5)
    figures.add(what, float(off.max()), f"<= {BOUND:g} max(1, |ln p|)", ok)


def add_scipy(figures: Figures, points: tuple[np.ndarray, ...], exact: dict[str, np.ndarray]) -> None:
    """The same points by scipy: how many it misses, and by how much at common r and where p > e^-600."""
    k, mu, r = points

    def either(name: str) -> np.ndarray:
        negative_binomial = getattr(nbinom, name)(k, r, r / (r + mu))
        return np.where(np.isinf(r), getattr(poisson, name)(k, mu), negative_binomial)

    contestants: dict[str, tuple[Callable[[], np.ndarray], str]] = {
        "cdf": (lambda: np.log(either("cdf")), "log_cdf"),
        "sf": (lambda: np.log(either("sf")), "log_sf"),
        "logcdf": (lambda: either("logcdf"), "log_cdf"),
        "logsf": (lambda: either("logsf"), "log_sf"),
        "special.betainc": (lambda: np.log(betainc(k, r, mu / (mu + r))), "P(X >= k)"),
    }
    for name, (function, reference) in contestants.items():
        chosen = np.isfinite(r) & (k > 0) if name == "special.betainc" else np.full(k.shape, True)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            off = errors(function(), exact[reference])[chosen]
        where = f"scipy's {name}, the same {off.size} points"
        figures.add(f"{where}: share off by more than {BOUND:g} max(1, |ln p|)", float((off > BOUND).mean()))
        mild = (exact[reference] > -600) & (np.isinf(r) | (np.abs(np.log10(r)) < 3))
        figures.add(
            f"{where}: largest error at r 1e-3..1e3 or Poisson, p > e^-600", float(off[mild[chosen]].max())
        )
