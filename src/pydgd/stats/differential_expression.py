# SPDX-License-Identifier: BSD-3-Clause
"""One tidy table: every gene of every sample against its expected count."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pydgd.stats.arguments import SMALLEST_MEAN, FloatArray, Numbers, broadcast_arguments
from pydgd.stats.calibrated import Expected, NullModel
from pydgd.stats.comparison import Comparison, compare
from pydgd.stats.eligibility import check_level, eligible_down, eligible_up
from pydgd.stats.local_fdr import local_fdr
from pydgd.stats.multiple_testing import check_adjust, log_adjusted_p
from pydgd.stats.residuals import normal_quantile
from pydgd.stats.tails import tails_of
from pydgd.stats.two_sided import DEFAULT_RULE, check_rule, log_p_of, to_p_value

UNTESTED_REASONS = ("not measured", "not in the gene list", "not eligible")
"""Why a gene has no adjusted p-value; where more than one reason holds, the first."""

DEFAULT_PSEUDOCOUNT = 0.5
"""Added to observed and expected reads for `log2FoldChange` alone: 0 against 20 is then -5.4, not -inf."""

CALIBRATED_RULES = (DEFAULT_RULE, "up", "down")
"""Rules that make do with the two tails, which is what a null distribution of residuals tells."""

_REASONS = pd.CategoricalDtype(pd.Index(UNTESTED_REASONS, dtype=object))

_NUMBERS = ("log2FoldChange", "lfcSE", "stat", "pvalue", "padj", "log_pvalue", "lfdr", "pvalue_nb")

_Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a `Comparison` is tested; the fields are arguments of `differential_expression_table`."""

    rule: str = DEFAULT_RULE
    adjust: str = "bh"
    level: float = 0.05
    eligible_only: bool = False
    pseudocount: float = DEFAULT_PSEUDOCOUNT
    padj_below: float | None = None

    def __post_init__(self) -> None:
        """Refuse what would fail only after the first sample."""
        check_rule(self.rule)
        check_adjust(self.adjust)
        check_level(self.level)
        if not 0 < self.pseudocount < np.inf:
            raise ValueError(f"pseudocount is {self.pseudocount}; allowed is a finite value > 0, like 0.5.")
        if self.padj_below is not None and not 0 < self.padj_below <= 1:
            raise ValueError(f"padj_below is {self.padj_below}; allowed is 0 < padj_below <= 1, or None.")


def differential_expression_table(
    counts: Numbers,
    mu: Numbers,
    r: Numbers | None = None,
    *,
    sample_names: Iterable[str],
    genes: Iterable[str],
    measured: Numbers | None = None,
    log_mean_variance: Numbers | None = None,
    gene_list: Iterable[str] | None = None,
    departure: Numbers = 0.0,
    null: NullModel | None = None,
    rule: str = DEFAULT_RULE,
    adjust: str = "bh",
    level: float = 0.05,
    eligible_only: bool = False,
    pseudocount: float = DEFAULT_PSEUDOCOUNT,
    padj_below: float | None = None,
) -> pd.DataFrame:
    r"""Test every gene of every sample against its expected count, each sample by itself.

    Args:
        counts: Reads, whole numbers; ``(N, G)``.
        mu: Expected reads, scaling included; ``(N, G)``.
        r: Inverse dispersion (variance mu + mu²/r); ``(G,)``, ``(N, G)`` or a number; None is Poisson.
        sample_names: N names, no two alike.
        genes: G names, no two alike.
        measured: Genes that the samples have counts of, bool ``(G,)``; None is all. The values of the others
            are not read.
        log_mean_variance: Posterior variance of ln mu, broadcasting to ``(N, G)``. It widens `lfcSE` and
            the test by `null`; the negative binomial's p-values do not know it.
        gene_list: Genes to adjust for; None is all. Others keep their p-value and have no adjusted one.
        departure: Log variance by which a sample departs in every gene, ``(N,)`` or a number; only the
            test by `null` heeds it.
        null: How residuals of healthy samples are distributed. P-values are then read off it instead of the
            negative binomial, whose own are kept in ``pvalue_nb``.
        rule: One of `pydgd.stats.RULES`; with `null` one of "equal-tail mid-p", "up" and "down".
        adjust: "bh" or "by", over the tested genes of each sample.
        level: P-value that `eligible_down` and `eligible_up` are about.
        eligible_only: Adjust only for genes that could reach `level` in the direction or directions of the
            rule.
        pseudocount: Reads added to observed and expected ones for `log2FoldChange`; no test uses it.
        padj_below: Keep only rows with a smaller adjusted p-value; None keeps all.

    Returns:
        One row per sample and gene, in the order given, with the columns

        ``sample``, ``gene`` (categorical); ``observed`` reads (NaN if not measured); ``baseMean``, the
        expected reads; ``log2FoldChange`` = log2((observed + c)/(baseMean + c)), above 0 if up in the sample;
        ``lfcSE`` = sqrt(1/mu + 1/r + var ln mu)/ln 2; ``stat``, the mid-p quantile residual, a signed z;
        ``pvalue``, ``padj``, at least 2.3e-308; ``log_pvalue``, natural, exact; ``lfdr``, the local false
        discovery rate; ``pvalue_nb``, by the negative binomial; ``direction`` +1 up, -1 down, 0 not measured
        (with `null` as seen from the centre of the sample's own residuals);
        ``r``; ``eligible_down``, ``eligible_up``; ``untested_reason``, why ``padj`` is NaN.

        ``attrs`` of the frame records the settings.

    Raises:
        ValueError: If shapes, settings or values are not allowed; the message names sample and gene.
        CountsError: If there are no counts, or one is negative, fractional or not finite.
        NamesError: If names are missing or repeated.
        GeneMismatchError: If `gene_list` holds an unknown gene.

    Example:
        >>> table = differential_expression_table(
        ...     [[0, 60]], [[20.0, 20.0]], 5.0, sample_names=["T1"], genes=["A", "B"]
        ... )
        >>> table[["gene", "log2FoldChange", "direction", "padj"]].round(3)
          gene  log2FoldChange  direction   padj
        0    A          -5.358         -1  0.001
        1    B           1.561          1  0.004
    """
    comparison = compare(
        counts, mu, r, sample_names=sample_names, genes=genes, measured=measured,
        log_mean_variance=log_mean_variance, gene_list=gene_list, departure=departure, null=null,
    )  # fmt: skip
    check_calibrated(rule, null)
    settings = Settings(
        rule=rule, adjust=adjust, level=level, eligible_only=eligible_only, pseudocount=pseudocount,
        padj_below=padj_below,
    )  # fmt: skip
    parts = list(_iterate_columns(comparison, settings))
    # Column by column, each part let go as soon as it is copied: 2.9 million rows stay below 0.6 GB.
    columns = {name: np.concatenate([part.pop(name) for part in parts]) for name in list(parts[0])}
    return _frame(columns, comparison, settings)


def check_calibrated(rule: str, null: NullModel | None) -> None:
    """Refuse a rule that a null distribution of residuals cannot tell.

    Args:
        rule: One of `pydgd.stats.RULES`.
        null: The distribution; None allows every rule.

    Raises:
        ValueError: If the rule takes more than the two tails.
    """
    if null is not None and rule not in CALIBRATED_RULES:
        raise ValueError(
            f"rule is {rule!r}; p-values calibrated on healthy samples take {', '.join(CALIBRATED_RULES)}. "
            "Choose one of these, or test against the negative binomial itself (null=None)."
        )


def iterate_differential_expression(comparison: Comparison, settings: Settings) -> Iterator[pd.DataFrame]:
    """Frames of `differential_expression_table`, one sample at a time, for results that do not fit in memory.

    Args:
        comparison: Counts and expectations, from `compare`.
        settings: How to test.

    Yields:
        One frame per sample, in order; categories are those of all samples, so that frames can be put
        together.

    Example:
        >>> comparison = compare([[0], [9]], [[4.0], [4.0]], None, sample_names=["T1", "T2"], genes=["A"])
        >>> [frame["direction"].item() for frame in iterate_differential_expression(comparison, Settings())]
        [-1, 1]
    """
    for columns in _iterate_columns(comparison, settings):
        yield _frame(columns, comparison, settings)


def _iterate_columns(comparison: Comparison, settings: Settings) -> Iterator[_Columns]:
    for sample in range(len(comparison.samples.categories)):
        columns = _columns(comparison, settings, sample)
        if settings.padj_below is not None:
            kept = columns["padj"] < settings.padj_below
            columns = {name: values[kept] for name, values in columns.items()}
        yield columns


def _frame(columns: _Columns, comparison: Comparison, settings: Settings) -> pd.DataFrame:
    dtypes: dict[str, Any] = {
        "sample": comparison.samples,
        "gene": comparison.genes,
        "untested_reason": _REASONS,
    }
    data = {
        name: pd.Categorical.from_codes(values, dtype=dtypes[name]) if name in dtypes else values
        for name, values in columns.items()
    }
    frame = pd.DataFrame(data, copy=False)
    frame.attrs.update(asdict(settings))
    return frame


def _columns(comparison: Comparison, settings: Settings, sample: int) -> _Columns:
    """All columns of one sample; categorical ones as codes."""
    measured = comparison.measured
    mu, r = comparison.row(comparison.mu, sample), comparison.row(comparison.r, sample)
    counts = comparison.row(comparison.counts, sample)
    arguments = broadcast_arguments(counts, mu, r)
    two = tails_of(arguments)
    residuals, variance = normal_quantile(two), comparison.row(comparison.log_mean_variance, sample)
    log_nb = log_p_of(two, arguments, rule=settings.rule)
    log_p, direction = log_nb, two.direction
    if comparison.null is not None:
        expected = Expected(mu, r, variance, float(comparison.departure[sample]))
        log_p, direction = _calibrated(comparison.null, residuals, expected, rule=settings.rule)
    down = eligible_down(mu, r, level=settings.level, rule=settings.rule)
    up = eligible_up(mu, r, level=settings.level, rule=settings.rule)
    reason = _reasons(comparison, (down | up) if settings.eligible_only else np.ones_like(down))
    values: _Columns = {
        "observed": counts,
        "log2FoldChange": np.log2((counts + settings.pseudocount) / (mu + settings.pseudocount)),
        "lfcSE": np.sqrt(1 / np.maximum(mu, SMALLEST_MEAN) + arguments[2] + variance) / np.log(2),
        "stat": residuals,
        **_p_values(log_p, tested=reason[measured] < 0, adjust=settings.adjust),
        "pvalue_nb": to_p_value(log_nb),
        "direction": direction,
        "eligible_down": down,
        "eligible_up": up,
    }
    return _arranged(comparison, sample, {name: _spread(x, measured) for name, x in values.items()}, reason)


def _calibrated(
    null: NullModel, residuals: FloatArray, expected: Expected, *, rule: str
) -> tuple[FloatArray, NDArray[np.int8]]:
    """Natural log of p among healthy samples, and the side of the smaller tail."""
    lower, upper = null.log_tails(residuals, expected)
    two_sided = np.minimum(0.0, np.log(2) + np.minimum(lower, upper))
    log_p = {"up": upper, "down": lower}.get(rule, two_sided)
    return log_p, np.where(upper < lower, 1, -1).astype(np.int8)


def _p_values(log_p: FloatArray, *, tested: NDArray[np.bool_], adjust: str) -> _Columns:
    rates = np.full(len(log_p), np.nan)
    rates[tested] = local_fdr(to_p_value(log_p[tested]))
    return {
        "pvalue": to_p_value(log_p),
        "padj": to_p_value(log_adjusted_p(log_p, adjust=adjust, tested=tested)),
        "log_pvalue": log_p,
        "lfdr": rates,
    }


def _arranged(comparison: Comparison, sample: int, tests: _Columns, reason: NDArray[np.int8]) -> _Columns:
    n_genes = len(comparison.genes.categories)
    return {
        "sample": np.full(n_genes, sample, dtype=np.int32),
        "gene": np.arange(n_genes, dtype=np.int32),
        "observed": tests["observed"],
        "baseMean": comparison.mu[sample].astype(np.float64),
        **{name: tests[name] for name in _NUMBERS},
        "direction": tests["direction"],
        "r": comparison.r[sample].astype(np.float64),
        "eligible_down": tests["eligible_down"],
        "eligible_up": tests["eligible_up"],
        "untested_reason": reason,
    }


def _reasons(comparison: Comparison, eligible: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Index into `UNTESTED_REASONS` for every gene, -1 where it is tested."""
    reason = np.full(len(comparison.measured), -1, dtype=np.int8)
    reason[comparison.measured] = np.where(eligible, -1, 2)
    reason[~comparison.listed] = 1
    reason[~comparison.measured] = 0
    return reason


def _spread(values: NDArray[Any], measured: NDArray[np.bool_]) -> NDArray[Any]:
    """Put the measured genes' values in their places among all genes: NaN, 0 or False elsewhere."""
    if values.dtype == np.float64:
        result: NDArray[Any] = np.full(measured.shape, np.nan)
    else:
        result = np.zeros(measured.shape, dtype=values.dtype)
    result[measured] = values
    return result
