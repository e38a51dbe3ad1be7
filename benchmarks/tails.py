# SPDX-License-Identifier: BSD-3-Clause
"""Accuracy and speed of p-values: `python benchmarks/tails.py [--quick]`, on one core.

The oracle is that of the tests (mpmath). The full run times bulkdgd 2.0.1 on the same sample in an
environment of its own (`_peer_venv.py`); the quick one takes the 0.31 ms per gene that were measured for it
before, at its default resolution.
"""

import argparse
import importlib.util
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mpmath import mp
from scipy.special import betainc

from _figures import Figures
from _peer_venv import run_peer
from pydgd import stats

GENES = 15_000
PEER_SECONDS_PER_GENE = 0.31e-3

PEER_SCRIPT = """
import json, sys, time
import numpy as np, pandas as pd
from bulkdgd.analysis import dea
sample = np.load(sys.argv[1])
genes = [f"ENSG{i:011d}" for i in range(len(sample["counts"]))]
counts, r = pd.Series(sample["counts"], genes), pd.Series(sample["r"], genes)
means = pd.Series(sample["mu"] / sample["counts"].mean(), genes)
start = time.perf_counter()
dea.get_p_values(obs_counts=counts, pred_means=means, r_values=r, resolution=10_000)
print(json.dumps({"seconds": time.perf_counter() - start}))
"""


def load_oracle():
    """The tests' oracle, from its file."""
    path = Path(__file__).resolve().parents[1] / "tests" / "stats" / "conftest.py"
    spec = importlib.util.spec_from_file_location("tails_oracle", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Oracle


def simulated_sample(rng):
    """Counts, means and r of one healthy sample: r around 3, means from below 1 to 100,000."""
    r, mu = rng.lognormal(1, 1, GENES), rng.lognormal(5, 2.5, GENES)
    return rng.poisson(rng.gamma(r, mu / r)).astype(float), mu, r


def random_point(rng):
    """One count, mean and r of the whole range: anywhere, near the mean, a multiple of it, or a few reads."""
    r = (np.inf, 10 ** rng.uniform(-30, 30), 10 ** rng.uniform(-3, 3), 10 ** rng.uniform(-3, 3))[
        rng.integers(4)
    ]
    mu = 10 ** rng.uniform(-8, 8)
    spread = np.sqrt(mu + mu**2 / max(r, 0.5))
    near = mu + rng.normal() * 10 ** rng.uniform(-1, 1.3) * spread
    k = (10 ** rng.uniform(0, 8), near, mu * 10 ** rng.uniform(-2, 1), rng.integers(1, 10))[rng.integers(4)]
    return float(np.floor(np.clip(k, 1, 1e8))), mu, r


def best_time(function: Callable[[], object], repeats: int) -> float:
    """Shortest of several runs, in milliseconds."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def add_table(figures: Figures, rng) -> None:
    """First of all, because the peak of memory is that of the whole process."""
    n, g = 158, 18_627
    r = rng.lognormal(1, 1, g)
    mu = (rng.lognormal(5, 2.5, g) * rng.lognormal(0, 0.5, (n, 1))).astype(np.float32)
    counts = rng.poisson(rng.gamma(r, mu / r)).astype(np.float32)
    names = {"sample_names": [f"T{i}" for i in range(n)], "genes": [f"ENSG{i:011d}" for i in range(g)]}
    start = time.perf_counter()
    rows = len(stats.differential_expression_table(counts, mu, r, **names))
    seconds = time.perf_counter() - start
    figures.add(f"table of {n} samples x {g:,} genes ({rows:,} rows), s", seconds, "< 15 s", seconds < 15)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    figures.add("peak memory of the process with it, GiB", peak, "< 1.5 GiB", peak < 1.5)


def add_accuracy(figures: Figures, rng, points: int) -> None:
    """Largest error of a log tail in units of max(1, |ln p|), each tail by itself, with mid-p and without."""
    oracle = load_oracle()
    worst, deepest = {"upper": 0.0, "lower": 0.0}, {"upper": 0.0, "lower": 0.0}
    scipy_worst = 0.0
    for _ in range(points):
        k, mu, r = random_point(rng)
        two = stats.tails(k, mu, r)
        side = "upper" if two.is_upper else "lower"
        with mp.workdps(40):
            exact = getattr(oracle, f"log_{side}")(k, mu, r)
            mid = mp.log(mp.exp(exact) - mp.exp(oracle.log_mass(k, mu, r)) / 2)
            for found, reference in ((two.log_tail, exact), (two.log_mid_tail, mid)):
                error = float(abs(mp.mpf(float(found)) - reference) / max(1, abs(reference)))
                worst[side] = max(worst[side], error)
        deepest[side] = min(deepest[side], float(exact))
        if side == "upper" and 1e-3 < r < 1e3 and exact > -600:
            scipy_worst = max(scipy_worst, abs(float(mp.log(betainc(k, r, mu / (mu + r))) - exact)))
    for side, error in worst.items():
        what = f"error of ln P, {side} tail, {points} points down to ln p = {deepest[side]:.1e}"
        figures.add(what, error, "<= 1e-10 max(1, |ln p|)", error <= 1e-10 and deepest[side] < -1e5)
    figures.add("for comparison: scipy's betainc on the points of r in 1e-3..1e3, p > e^-600", scipy_worst)


def add_extremes(figures: Figures) -> None:
    """How many p-values of a grid to the ends of the range are 0, NaN or above 1."""
    counts = np.array([0, 1, 2, 100, 10**4, 10**6, 10**8])[:, None, None]
    mu = np.array([0, 1e-8, 1e-3, 1, 1e3, 1e6, 1e8])[:, None]
    r = np.array([1e-30, 1e-3, 1, 1e3, 1e30, np.inf])
    bad = 0
    for rule in stats.RULES:
        log_p, _ = stats.log_p_value(counts, mu, r, rule=rule)
        bad += int((~np.isfinite(log_p) | (log_p > 0) | (stats.to_p_value(log_p) <= 0)).sum())
    figures.add("p-values that are 0, NaN or above 1, all rules, ends of the range", bad, "0", bad == 0)


def add_size(figures: Figures, rng) -> None:
    """Share of p <= level under the null, over the level, at means from below 1 to 100,000."""
    counts, mu, r = (
        np.concatenate(parts) for parts in zip(*(simulated_sample(rng) for _ in range(20)), strict=True)
    )
    high = mu > 100
    log_p, _ = stats.log_p_value(counts[high], mu[high], r[high])
    for level in (0.05, 1e-3):
        size = float((log_p <= np.log(level)).mean() / level)
        band = 4 / np.sqrt(level * high.sum())
        must = f"1 +- {band:.2f} (4 s.e.)"
        figures.add(
            f"size over level of equal-tail mid-p at {level:g}, means above 100",
            size,
            must,
            bool(abs(size - 1) <= band),
        )


def add_speed(figures: Figures, rng, *, quick: bool) -> None:
    """Milliseconds for one sample of 15,000 genes."""
    counts, mu, r = simulated_sample(rng)
    repeats = 20 if quick else 100
    default = best_time(lambda: stats.log_p_value(counts, mu, r), repeats)
    figures.add(f"equal-tail mid-p, one sample of {GENES:,} genes, ms", default, "<= 12 ms", default <= 12)
    peer = 1e3 * (PEER_SECONDS_PER_GENE * GENES if quick else peer_seconds(counts, mu, r))
    source = "as measured for BULKDGD.md" if quick else "measured now"
    figures.add(f"bulkdgd 2.0.1, resolution 1e4, same size, {source}, ms", peer)
    figures.add("times faster than bulkdgd 2.0.1", peer / default, ">= 300", peer / default >= 300)
    exact = best_time(lambda: stats.log_p_value(counts, mu, r, rule="minimum-likelihood"), repeats // 4)
    figures.add("minimum-likelihood, exact, ms", exact, "<= 100 ms", exact <= 100)
    log_p, _ = stats.log_p_value(counts, mu, r)
    poisson_counts = rng.poisson(mu)
    for what, function in {
        "equal-tail mid-p, Poisson counts under a Poisson model": lambda: stats.log_p_value(
            poisson_counts, mu
        ),
        "mid-p residuals": lambda: stats.mid_p_residuals(counts, mu, r),
        "Benjamini-Hochberg in log space": lambda: stats.log_adjusted_p(log_p),
        "scipy betainc, one call for the lower tails, no mid-p and no far tail": lambda: betainc(
            r, counts + 1, r / (r + mu)
        ),
    }.items():
        figures.add(f"{what}, ms", best_time(function, repeats // 2))


def peer_seconds(counts, mu, r) -> float:
    """Seconds that bulkdgd 2.0.1 takes for the p-values of this sample."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample.npz"
        np.savez(path, counts=counts, mu=mu, r=r)
        return run_peer(PEER_SCRIPT, str(path))["seconds"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a minute at most, without the peer")
    quick = parser.parse_args().quick
    figures = Figures("tails", quick)
    rng = np.random.default_rng(0)
    add_table(figures, rng)
    add_speed(figures, rng, quick=quick)
    add_extremes(figures)
    add_size(figures, rng)
    add_accuracy(figures, rng, 150 if quick else 1500)
    return figures.finish()


if __name__ == "__main__":
    sys.exit(main())
