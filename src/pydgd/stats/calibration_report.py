# SPDX-License-Identifier: BSD-3-Clause
"""What the p-values of healthy samples are like: in a table for programs, and in words where they fail."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pydgd.words import plural

CALIBRATED, NEGATIVE_BINOMIAL = "calibrated", "negative binomial"
"""What p-values are read off: residuals of healthy samples, or the count distribution itself."""

BRIGHT_COUNT = 20.0
"""Genes with so many reads on average are bright: their tests are about continuous."""

STRICT, LARGEST_SIZE, MOST_CALLS = 1e-3, 2.0, 5.0
"""Level at which a size above the second is a complaint, and calls per sample beyond which there is one."""

_COLUMNS = ["p_values", "measure", "genes", "level", "n", "value"]


@dataclass(frozen=True, eq=False)
class CalibrationReport:
    """How the p-values of a model behave on healthy samples, where every call is false.

    The column ``p_values`` of each frame says which p-values a row is about: ``calibrated``, which are there
    if the model is calibrated, or ``negative binomial``.

    Attributes:
        n_samples: Number of samples.
        n_genes: Number of genes tested in each.
        pit: Histogram of the randomised PIT: ``left``, ``right``, ``n``, ``density`` (1 is right everywhere).
        ks: Kolmogorov-Smirnov distance of the randomised PIT from uniform, to 0.001, by ``decile`` of mean
            count (``lowest`` to ``highest`` reads); ``n`` tests, ``distance`` (0 is right).
        sizes: Tests with p <= ``level`` of ``n``: ``n_below`` and ``size_over_level``, their share over the
            level (1 is right for bright ``genes``, of 20 reads on average; a discrete test of dim ones stays
            below).
        calls: ``calls`` per ``sample`` at a Benjamini-Hochberg level of 5 % (0 is right).
        directions: Tests with p <= 1e-3, of those that could be so either way: ``n_up``, ``n_down`` and their
            ratio ``up_per_down`` (1 is right).
        quantiles: ``observed`` -log10 p and the ``expected`` one of a p-value of that rank, by ``genes``.
    """

    n_samples: int
    n_genes: int
    pit: pd.DataFrame
    ks: pd.DataFrame
    sizes: pd.DataFrame
    calls: pd.DataFrame
    directions: pd.DataFrame
    quantiles: pd.DataFrame

    @property
    def kinds(self) -> list[str]:
        """Which p-values there are, those that the model goes by first."""
        return self.directions["p_values"].tolist()

    def table(self) -> pd.DataFrame:
        """All numbers but the quantiles in one long table, for a file.

        Returns:
            ``p_values``, ``measure``, ``genes``, ``level``, ``n`` (of what the value is made) and ``value``.
        """
        frames = [self._sizes(), self._calls(), self._directions(), self._distances(), self._histogram()]
        rows = pd.concat([frame[_COLUMNS] for frame in frames])
        return rows.sort_values("p_values", kind="stable", ignore_index=True)

    def problems(self) -> list[str]:
        """What is wrong with the p-values that the model goes by, a sentence each; empty if nothing is."""
        kind = self.kinds[0]
        strict = self.sizes[(self.sizes["p_values"] == kind) & (self.sizes["level"] == STRICT)]
        found = [
            f"{n_below:,} of {n:,} tests of {genes} genes have p <= {STRICT:g}, {size:.1f} times as many as "
            "there should be"
            for genes, n, n_below, size in _rows(strict, "genes", "n", "n_below", "size_over_level")
            if size > LARGEST_SIZE
        ]
        calls = self.calls.loc[self.calls["p_values"] == kind, "calls"].mean()
        if calls > MOST_CALLS:
            found.append(f"{calls:.1f} genes per sample are called at a false discovery rate of 5 %")
        return found

    def __repr__(self) -> str:
        return (
            f"CalibrationReport({plural(self.n_samples, 'healthy sample')}, {plural(self.n_genes, 'gene')}, "
            f"{' and '.join(self.kinds)} p-values, {plural(len(self.problems()), 'problem')})"
        )

    def _sizes(self) -> pd.DataFrame:
        return self.sizes.assign(measure="size over level", value=self.sizes["size_over_level"])

    def _calls(self) -> pd.DataFrame:
        groups = self.calls.groupby("p_values", sort=False)["calls"]
        parts = [
            groups.agg(n="count", value=what).reset_index().assign(measure=f"calls per sample, {what}")
            for what in ("mean", "median", "max")
        ]
        return pd.concat(parts).assign(genes="all", level=0.05)

    def _directions(self) -> pd.DataFrame:
        found = self.directions
        return found.assign(
            measure="up per down", genes="could go either way", level=STRICT,
            n=found["n_up"] + found["n_down"], value=found["up_per_down"],
        )  # fmt: skip

    def _distances(self) -> pd.DataFrame:
        names = [
            f"decile {decile}: {reads(lowest)} to {reads(highest)} reads"
            for decile, lowest, highest in _rows(self.ks, "decile", "lowest", "highest")
        ]
        return self.ks.assign(
            measure="PIT distance from uniform", genes=names, level=float("nan"), value=self.ks["distance"]
        )

    def _histogram(self) -> pd.DataFrame:
        bins = [f"PIT density, {left:.2f} to {right:.2f}" for left, right in _rows(self.pit, "left", "right")]
        return self.pit.assign(measure=bins, genes="all", level=float("nan"), value=self.pit["density"])


def _rows(frame: pd.DataFrame, *columns: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(frame[name].tolist() for name in columns), strict=True)


def reads(mean: float) -> str:
    """Mean reads as a person says them.

    Args:
        mean: At least 0.

    Example:
        >>> reads(0.0312), reads(20.04), reads(1_234_567.8)
        ('0.031', '20', '1,234,568')
    """
    return f"{mean:,.0f}" if mean >= 10 else f"{mean:.2g}"
