# SPDX-License-Identifier: BSD-3-Clause
"""Accuracy and speed of p-values: `python benchmarks/tails.py [--quick]`, on one core.

Accuracy is judged against mpmath, by the oracle of the tests (`_tails_accuracy.py`). Times are CPU time. The
full run also times bulkdgd 2.0.1 on the same samples in an environment of its own (`_peer_venv.py`) and looks
at its p-values; the quick one takes the 0.31 ms per gene that were measured for it before, at its default
resolution.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.special import betainc
from scipy.stats import nbinom

from _figures import Figures
from _peer_venv import run_peer
from _tails_accuracy import add_accuracy
from pydgd import stats

GENES = 15_000
PEER_SECONDS_PER_GENE = 0.31e-3

PEER_SCRIPT = """
import json, sys, time, warnings
import numpy as np, pandas as pd
from bulkdgd.analysis import dea
warnings.simplefilter("ignore")
seconds = {}
for path in sys.argv[1:]:
    sample = np.load(path)
    genes = [f"ENSG{i:011d}" for i in range(len(sample["counts"]))]
    counts = pd.Series(sample["counts"], genes)
    means = pd.Series(sample["mu"] / sample["counts"].mean(), genes)
    r = pd.Series(sample["r"], genes) if np.isfinite(sample["r"]).all() else None
    start = time.process_time()
    p, *_ = dea.get_p_values(obs_counts=counts, pred_means=means, r_values=r, resolution=10_000)
    seconds[path] = time.process_time() - start
    np.save(path + ".p.npy", np.asarray(p, dtype=float))
print(json.dumps(seconds))
"""

Sample = tuple[np.ndarray, np.ndarray, np.ndarray]


def simulated_sample(rng, r=None, mu=None) -> Sample:
    """Counts, means and r of one healthy sample: r around 3, means from below 1 to 100,000, if not given."""
    r = rng.lognormal(1, 1, GENES) if r is None else np.full(GENES, r)
    mu = rng.lognormal(5, 2.5, GENES) if mu is None else np.full(GENES, mu)
    rate = np.where(np.isinf(r), mu, rng.gamma(np.minimum(r, 1e15), mu / np.minimum(r, 1e15)))
    return rng.poisson(rate).astype(float), mu, r


def samples(rng) -> dict[str, Sample]:
    """What is timed: dispersions from those of tissue to none, means to 2,000,000."""
    each_r = 10 ** rng.uniform(-2, 4, GENES)
    counts, mu, r = simulated_sample(rng)
    aberrant = np.where(rng.random(GENES) < 0.01, 100 * (counts + 1), counts)
    return {
        "r around 3": (counts, mu, r),
        "r around 3, 1 % of genes 100 times up": (aberrant, mu, r),
        "r from 0.01 to 10,000": simulated_sample(rng, r=each_r),
        "r = 30": simulated_sample(rng, r=30.0),
        "r = 1,000": simulated_sample(rng, r=1e3),
        "r = 100,000": simulated_sample(rng, r=1e5),
        "r = 1,000, means 2e6": simulated_sample(rng, r=1e3, mu=2e6),
        "Poisson": simulated_sample(rng, r=np.inf),
        "Poisson, means 2e6": simulated_sample(rng, r=np.inf, mu=2e6),
    }


def best_time(function: Callable[[], object], repeats: int) -> float:
    """Shortest CPU time of several runs, in milliseconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
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
        figures.add(
            f"size over level of equal-tail mid-p at {level:g}, means above 100",
            size,
            f"1 +- {band:.2f} (4 s.e.)",
            bool(abs(size - 1) <= band),
        )


def add_speed(figures: Figures, timed: dict[str, Sample], repeats: int) -> dict[str, float]:
    """Milliseconds for one sample: the default rule for each kind of sample, and the exact two-sided rule."""
    defaults = {}
    for name, sample in timed.items():
        what = f"one sample of {GENES:,} genes, {name}, ms"
        defaults[name] = best_time(lambda sample=sample: stats.log_p_value(*sample), repeats)
        figures.add(f"equal-tail mid-p, {what}", defaults[name], "<= 12 ms", defaults[name] <= 12)
        exact = best_time(
            lambda sample=sample: stats.log_p_value(*sample, rule="minimum-likelihood"), repeats // 4
        )
        figures.add(f"minimum-likelihood, {what}", exact, "<= 100 ms", exact <= 100)
    return defaults


def add_matrix(figures: Figures, rng, repeats: int) -> None:
    """As many r as counts, for a model that knows one for each sample and gene."""
    rows = [simulated_sample(rng, r=10 ** rng.uniform(-2, 4, GENES)) for _ in range(16)]
    matrices = [np.stack(columns) for columns in zip(*rows, strict=True)]
    one = best_time(lambda: stats.log_p_value(*matrices), repeats // 8) / len(rows)
    what = f"equal-tail mid-p, {len(rows)} x {GENES:,}, r of each element from 0.01 to 10,000, ms per sample"
    figures.add(what, one, "<= 12 ms", one <= 12)


def scipy_mid_p(k, r, p):
    """The default rule as scipy's functions give it where no tail is far."""
    half = nbinom.pmf(k, r, p) / 2
    return np.minimum(1, 2 * np.minimum(nbinom.cdf(k, r, p) - half, nbinom.sf(k, r, p) + half))


def add_other_speed(figures: Figures, rng, sample: Sample, repeats: int) -> None:
    """The other functions on the first kind of sample, each beside scipy's."""
    k, mu, r = sample
    log_p, _ = stats.log_p_value(*sample)
    uniforms, p = rng.random(GENES), r / (r + mu)
    pairs = {
        "equal-tail": lambda: stats.log_p_value(*sample, rule="equal-tail"),
        "up": lambda: stats.log_p_value(*sample, rule="up"),
        "down": lambda: stats.log_p_value(*sample, rule="down"),
        "log_cdf": lambda: stats.log_cdf(*sample),
        "log_sf": lambda: stats.log_sf(*sample),
        "quantile": lambda: stats.quantile(uniforms, mu, r),
        "mid_p_residuals": lambda: stats.mid_p_residuals(*sample),
        "log_adjusted_p, Benjamini-Hochberg": lambda: stats.log_adjusted_p(log_p),
        "scipy's nbinom.cdf": lambda: nbinom.cdf(k, r, p),
        "scipy's nbinom.sf": lambda: nbinom.sf(k, r, p),
        "scipy's nbinom.logcdf": lambda: nbinom.logcdf(k, r, p),
        "scipy's nbinom.logsf": lambda: nbinom.logsf(k, r, p),
        "scipy's nbinom.cdf, .sf and .pmf for a mid-p": lambda: scipy_mid_p(k, r, p),
        "scipy's nbinom.ppf": lambda: nbinom.ppf(uniforms, r, p),
        "scipy's special.betainc, once, for the lower tail": lambda: betainc(r, k + 1, p),
    }
    with np.errstate(divide="ignore"):
        for what, function in pairs.items():
            figures.add(f"{what}, r around 3, ms", best_time(function, repeats // 4))


def add_peer(figures: Figures, timed: dict[str, Sample], defaults: dict[str, float], *, quick: bool) -> None:
    """How many times faster than bulkdgd 2.0.1's p-values at its default resolution; how right those are."""
    if quick:
        least = PEER_SECONDS_PER_GENE * GENES * 1e3 / max(defaults.values())
        what = "times faster than the 0.31 ms per gene of bulkdgd 2.0.1, slowest of these samples"
        figures.add(what, least, ">= 300", least >= 300)
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: str(Path(folder) / f"{i}.npz") for i, name in enumerate(timed)}
        for name, (counts, mu, r) in timed.items():
            np.savez(paths[name], counts=counts, mu=mu, r=r)
        seconds = run_peer(PEER_SCRIPT, *paths.values())
        for name, path in paths.items():
            peer = 1e3 * seconds[path]
            figures.add(f"bulkdgd 2.0.1, resolution 1e4, the sample with {name}, ms", peer)
            ratio = peer / defaults[name]
            figures.add(f"equal-tail mid-p, {name}: times faster than bulkdgd", ratio, ">= 300", ratio >= 300)
            add_peer_accuracy(figures, name, timed[name], np.load(path + ".p.npy"))


def add_peer_accuracy(figures: Figures, name: str, sample: Sample, p: np.ndarray) -> None:
    """Its p-values against exact ones of its own rule: minimum likelihood, a read added to count and mean."""
    counts, mu, r = sample
    exact = stats.to_p_value(stats.log_p_value(counts + 1, mu + 1, r, rule="minimum-likelihood")[0])
    what = f"bulkdgd 2.0.1, resolution 1e4, {name}: "
    figures.add(f"{what}p-values that are 0 or NaN", int((~(p > 0)).sum()))
    positive = p > 0
    off = np.abs(p[positive] / exact[positive] - 1)
    figures.add(f"{what}median relative error of the others", float(np.median(off)))
    figures.add(f"{what}share of them off by more than 1 %", float((off > 0.01).mean()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a minute at most, without the peer")
    quick = parser.parse_args().quick
    figures = Figures("tails", quick)
    rng = np.random.default_rng(0)
    add_table(figures, rng)
    timed, repeats = samples(rng), 16 if quick else 80
    defaults = add_speed(figures, timed, repeats)
    add_matrix(figures, rng, repeats)
    add_other_speed(figures, rng, timed["r around 3"], repeats)
    add_peer(figures, timed, defaults, quick=quick)
    add_extremes(figures)
    add_size(figures, rng)
    add_accuracy(figures, rng, 60 if quick else 1500)
    return figures.finish()


if __name__ == "__main__":
    sys.exit(main())
