# SPDX-License-Identifier: BSD-3-Clause
"""Adds up what the p-values of healthy samples are like, one sample at a time, however many there are."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from pydgd.stats.arguments import FloatArray
from pydgd.stats.calibrated import Expected
from pydgd.stats.calibration_report import (
    BRIGHT_COUNT,
    CALIBRATED,
    NEGATIVE_BINOMIAL,
    STRICT,
    CalibrationReport,
)
from pydgd.stats.comparison import Comparison
from pydgd.stats.differential_expression import Settings, iterate_differential_expression
from pydgd.stats.multiple_testing import log_adjusted_p
from pydgd.stats.named_uniforms import named_uniforms
from pydgd.stats.pit import randomised_pit

LEVELS = (0.05, STRICT, 1e-5)
N_BINS, N_DECILES = 20, 10
CALLED_BELOW = 0.05

# The PIT is kept in so many equal cells, a multiple of the bins: its distance from uniform is told to 0.001.
_N_CELLS = 1000
# -log10 p is kept in steps of 0.05 up to 310, beyond which float64 has no p-values.
_STEP, _N_STEPS = 0.05, 6200
_GENES = ("dim", "bright")
_LN10 = float(np.log(10))


class _Tests(NamedTuple):
    """All tests of one sample by one kind of p-values, a value for each gene."""

    log_p: FloatArray
    is_up: Bool[np.ndarray, " genes"]
    pit: FloatArray


class _Groups:
    """Which genes are bright, and in which decile of mean count each is."""

    def __init__(self, mean_counts: Float[np.ndarray, " genes"]) -> None:
        self.mean_counts = mean_counts
        self.bright = (mean_counts >= BRIGHT_COUNT).astype(np.int64)
        ranks = np.argsort(np.argsort(mean_counts, kind="stable"), kind="stable")
        self.decile = ranks * N_DECILES // len(mean_counts)


class _Sums:
    """What is kept of the tests of all samples so far."""

    def __init__(self) -> None:
        self.pit = np.zeros((N_DECILES, _N_CELLS), dtype=np.int64)
        self.strengths = np.zeros((len(_GENES), _N_STEPS), dtype=np.int64)
        self.below = np.zeros((len(_GENES), len(LEVELS)), dtype=np.int64)
        self.up = self.down = 0
        self.calls: list[int] = []

    def add(self, tests: _Tests, groups: _Groups, either_way: Bool[np.ndarray, " genes"]) -> None:
        """Count one sample's tests."""
        _count(self.pit, groups.decile, tests.pit * _N_CELLS)
        _count(self.strengths, groups.bright, -tests.log_p / (_LN10 * _STEP))
        for column, level in enumerate(LEVELS):
            rare = tests.log_p <= np.log(level)
            self.below[:, column] += np.bincount(groups.bright[rare], minlength=len(_GENES))
        strict = either_way & (tests.log_p <= np.log(STRICT))
        self.up += int((strict & tests.is_up).sum())
        self.down += int((strict & ~tests.is_up).sum())
        self.calls.append(int((log_adjusted_p(tests.log_p) < np.log(CALLED_BELOW)).sum()))


class CalibrationTally:
    """Tests healthy samples, some at a time, and says at the end what their p-values are like.

    Args:
        mean_counts: Mean reads of each measured gene over all samples, (G,): genes are grouped by it.
        seed: Decides the random part of the PIT, by sample and gene names.
    """

    def __init__(self, mean_counts: Float[np.ndarray, " genes"], *, seed: int = 0) -> None:
        self._groups, self._seed = _Groups(mean_counts), seed
        self._sums: dict[str, _Sums] = {}
        self._samples: list[str] = []

    def add(self, comparison: Comparison) -> None:
        """Test some samples and count their tests, one after the other.

        Args:
            comparison: Their counts and expectations, with the same measured genes each time. If it has a
                null, calibrated p-values are counted beside those of the negative binomial.
        """
        names = comparison.samples.categories.astype(str).tolist()
        genes = comparison.genes.categories[comparison.measured].astype(str).tolist()
        kinds = [NEGATIVE_BINOMIAL] if comparison.null is None else [CALIBRATED, NEGATIVE_BINOMIAL]
        tables = iterate_differential_expression(comparison, Settings(level=STRICT))
        for number, (name, table) in enumerate(zip(names, tables, strict=True)):
            uniforms = named_uniforms([name], genes, seed=self._seed)[0]
            either_way = (table["eligible_down"] & table["eligible_up"])[comparison.measured].to_numpy()
            for kind in kinds:
                tests = _tests(table[comparison.measured], kind, _pit(comparison, number, kind, uniforms))
                self._sums.setdefault(kind, _Sums()).add(tests, self._groups, either_way)
            self._samples.append(name)

    def report(self) -> CalibrationReport:
        """What was counted so far, of at least one sample."""
        groups, n_samples = self._groups, len(self._samples)
        return CalibrationReport(
            n_samples=n_samples,
            n_genes=len(groups.mean_counts),
            pit=self._frames(_histogram),
            ks=self._frames(lambda sums: _distances(sums, groups)),
            sizes=self._frames(lambda sums: _sizes(sums, groups, n_samples)),
            calls=self._frames(lambda sums: pd.DataFrame({"sample": self._samples, "calls": sums.calls})),
            directions=self._frames(_directions),
            quantiles=self._frames(_quantiles),
        )

    def _frames(self, frame_of: Callable[[_Sums], pd.DataFrame]) -> pd.DataFrame:
        frames = [frame_of(sums).assign(p_values=kind) for kind, sums in self._sums.items()]
        frame = pd.concat(frames, ignore_index=True)
        return frame[["p_values", *frame.columns.drop("p_values")]]


def _pit(comparison: Comparison, sample: int, kind: str, uniforms: FloatArray) -> FloatArray:
    mu, r, variance = (
        comparison.row(matrix, sample)
        for matrix in (comparison.mu, comparison.r, comparison.log_mean_variance)
    )
    return randomised_pit(
        comparison.row(comparison.counts, sample),
        Expected(mu, r, variance, float(comparison.departure[sample])),
        uniforms=uniforms,
        null=comparison.null if kind == CALIBRATED else None,
    )


def _tests(table: pd.DataFrame, kind: str, pit: FloatArray) -> _Tests:
    if kind == CALIBRATED:
        return _Tests(table["log_pvalue"].to_numpy(), (table["direction"] > 0).to_numpy(), pit)
    return _Tests(np.log(table["pvalue_nb"].to_numpy()), (table["stat"] > 0).to_numpy(), pit)


def _count(sums: Int[np.ndarray, "groups cells"], group: Int[np.ndarray, " n"], place: FloatArray) -> None:
    """Add one for each value to the cell of its group that it is in; what is beyond is in the last."""
    n_groups, n_cells = sums.shape
    cell = np.minimum(place, n_cells - 1).astype(np.int64)
    sums += np.bincount(group * n_cells + cell, minlength=sums.size).reshape(n_groups, n_cells)


def _histogram(sums: _Sums) -> pd.DataFrame:
    n = sums.pit.sum(axis=0).reshape(N_BINS, -1).sum(axis=1)
    edges = np.arange(N_BINS + 1) / N_BINS
    density = n * N_BINS / n.sum()
    return pd.DataFrame({"left": edges[:-1], "right": edges[1:], "n": n, "density": density})


def _distances(sums: _Sums, groups: _Groups) -> pd.DataFrame:
    rows = []
    for decile, cells in enumerate(sums.pit):
        n, counts = int(cells.sum()), groups.mean_counts[groups.decile == decile]
        if n:
            distance = np.abs(cells.cumsum() / n - np.arange(1, _N_CELLS + 1) / _N_CELLS).max()
            rows.append((decile + 1, counts.min(), counts.max(), n, distance))
    return pd.DataFrame(rows, columns=["decile", "lowest", "highest", "n", "distance"])


def _sizes(sums: _Sums, groups: _Groups, n_samples: int) -> pd.DataFrame:
    rows = []
    for place in np.unique(groups.bright)[::-1]:
        n = int((groups.bright == place).sum()) * n_samples
        for level, n_below in zip(LEVELS, sums.below[place], strict=True):
            rows.append((_GENES[place], level, n, int(n_below), n_below / n / level))
    return pd.DataFrame(rows, columns=["genes", "level", "n", "n_below", "size_over_level"])


def _directions(sums: _Sums) -> pd.DataFrame:
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.float64(sums.up) / sums.down
    return pd.DataFrame({"n_up": [sums.up], "n_down": [sums.down], "up_per_down": [ratio]})


def _quantiles(sums: _Sums) -> pd.DataFrame:
    frames = []
    for genes, cells in zip(_GENES, sums.strengths, strict=True):
        as_strong = cells[::-1].cumsum()[::-1]
        steps = np.flatnonzero(cells)
        expected = -np.log10(as_strong[steps] / max(1, as_strong[0]))
        frames.append(pd.DataFrame({"genes": genes, "observed": steps * _STEP, "expected": expected}))
    return pd.concat(frames[::-1], ignore_index=True)
