# SPDX-License-Identifier: BSD-3-Clause
"""Sums over healthy samples, against the same numbers from all tables at once."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pydgd.stats import (
    CalibrationReport,
    CalibrationTally,
    Comparison,
    Settings,
    compare,
    iterate_differential_expression,
)
from pydgd.stats.calibrated import Expected, NullModel
from pydgd.stats.named_uniforms import named_uniforms
from pydgd.stats.pit import randomised_pit

N_SAMPLES, N_GENES = 12, 600
GENES = [f"G{i}" for i in range(N_GENES)]
SAMPLES = [f"S{i}" for i in range(N_SAMPLES)]
KINDS = ("calibrated", "negative binomial")


def means() -> np.ndarray:
    return np.exp(np.random.default_rng(0).normal(3, 2, N_GENES))


def counts_of(n_samples: int, *, r: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.poisson(means() * rng.standard_gamma(r, (n_samples, N_GENES)) / r).astype(float)


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    """More dispersed than the model's r of 5."""
    return counts_of(N_SAMPLES, r=2.0, seed=1)


@pytest.fixture(scope="module")
def null() -> NullModel:
    """From samples as dispersed, enough of them for a null of genes with many reads by themselves."""
    return NullModel.of([(row, expected_of()) for row in counts_of(70, r=2.0, seed=2)])


def expected_of(*, more: float = 0.0) -> Expected:
    return Expected(means(), np.full(N_GENES, 5.0), np.full(N_GENES, more))


def comparison_of(counts: np.ndarray, null: NullModel | None, **options: Any) -> Comparison:
    names = [f"S{i}" for i in range(len(counts))]
    mu = np.broadcast_to(means(), counts.shape)
    return compare(counts, mu, 5.0, **{"sample_names": names, "genes": GENES, "null": null, **options})


@pytest.fixture(scope="module")
def tables(counts: np.ndarray, null: NullModel) -> list[pd.DataFrame]:
    """Every test, by the function that users call."""
    return list(iterate_differential_expression(comparison_of(counts, null), Settings(level=1e-3)))


@pytest.fixture(scope="module")
def report(counts: np.ndarray, null: NullModel) -> CalibrationReport:
    return report_of(counts, null)


def report_of(counts: np.ndarray, null: NullModel | None, **options: Any) -> CalibrationReport:
    """All samples at once."""
    tally = CalibrationTally(counts.mean(axis=0))
    tally.add(comparison_of(counts, null, **options))
    return tally.report()


def p_values(tables: list[pd.DataFrame], kind: str) -> np.ndarray:
    column = {"calibrated": "pvalue", "negative binomial": "pvalue_nb"}[kind]
    return np.stack([table[column] for table in tables])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", [0.05, 1e-3, 1e-5])
@pytest.mark.parametrize("genes", ["bright", "dim"])
def test_sizes_are_shares_of_p_values_over_the_level(report, counts, tables, kind, level, genes) -> None:
    """Bright genes have 20 reads on average."""
    chosen = (counts.mean(axis=0) >= 20) == (genes == "bright")
    p = p_values(tables, kind)[:, chosen]
    row = report.sizes.set_index(["p_values", "genes", "level"]).loc[(kind, genes, level)]
    assert (row["n"], row["n_below"]) == (p.size, (p <= level).sum())
    assert row["size_over_level"] == pytest.approx((p <= level).mean() / level)


@pytest.mark.parametrize("kind", KINDS)
def test_calls_are_benjamini_and_hochbergs(report, tables, kind) -> None:
    """Of each sample by itself, by name."""
    expected = [(stats.false_discovery_control(p) < 0.05).sum() for p in p_values(tables, kind)]
    found = report.calls[report.calls["p_values"] == kind]
    assert found["sample"].tolist() == SAMPLES
    assert found["calls"].tolist() == expected


@pytest.mark.parametrize("kind", KINDS)
def test_directions_are_of_tests_that_could_go_either_way(report, tables, kind) -> None:
    """Genes whose p could not be so small with no reads are left out."""
    table = pd.concat(tables)
    strict = table[(p_values(tables, kind).ravel() <= 1e-3) & table["eligible_down"]]
    up = (strict["direction"] > 0) if kind == "calibrated" else (strict["stat"] > 0)
    row = report.directions.set_index("p_values").loc[kind]
    assert (row["n_up"], row["n_down"]) == (up.sum(), (~up).sum())
    assert row["up_per_down"] == pytest.approx(up.sum() / (~up).sum())


@pytest.mark.parametrize("kind", KINDS)
def test_the_pit_is_counted_in_bins_and_by_decile(report, counts, null, kind) -> None:
    """Histogram and Kolmogorov's distance are those of numpy and scipy, the latter to 0.001."""
    uniforms = named_uniforms(SAMPLES, GENES, seed=0)
    known = null if kind == "calibrated" else None
    pit = np.stack(
        [
            randomised_pit(row, expected_of(), uniforms=u, null=known)
            for row, u in zip(counts, uniforms, strict=True)
        ]
    )
    bins = report.pit[report.pit["p_values"] == kind]
    np.testing.assert_array_equal(bins["n"], np.histogram(pit, bins=20, range=(0, 1))[0])
    assert bins["density"].mean() == pytest.approx(1)
    order = np.argsort(counts.mean(axis=0), kind="stable").reshape(10, -1)
    rows = report.ks[report.ks["p_values"] == kind]
    expected = [stats.kstest(pit[:, genes].ravel(), "uniform").statistic for genes in order]
    np.testing.assert_allclose(rows["distance"], expected, atol=1.001e-3)
    np.testing.assert_allclose(rows["highest"], [counts.mean(axis=0)[genes].max() for genes in order])


@pytest.mark.parametrize("genes", ["bright", "dim"])
@pytest.mark.parametrize("kind", KINDS)
def test_quantiles_say_how_many_p_values_are_as_small(report, counts, tables, kind, genes) -> None:
    """10^-expected is the share of p-values up to 10^-observed."""
    chosen = (counts.mean(axis=0) >= 20) == (genes == "bright")
    p = p_values(tables, kind)[:, chosen]
    rows = report.quantiles[(report.quantiles["p_values"] == kind) & (report.quantiles["genes"] == genes)]
    shares = [(-np.log10(p) >= observed - 1e-9).mean() for observed in rows["observed"]]
    np.testing.assert_allclose(10 ** -rows["expected"], shares)


def test_a_null_of_like_samples_keeps_its_word_where_the_negative_binomial_does_not(report) -> None:
    """Counts are more dispersed than the model says; chance goes beyond the bound once in a thousand."""
    bright = report.sizes[report.sizes["genes"] == "bright"].set_index("p_values")
    assert (bright.loc["negative binomial", "size_over_level"] > [2, 10, 100]).all()
    calibrated = bright.loc["calibrated"]
    assert (calibrated["n_below"] <= stats.poisson(calibrated["n"] * calibrated["level"]).ppf(0.999)).all()
    assert calibrated["size_over_level"].iloc[0] == pytest.approx(1, abs=0.25)


def test_without_a_null_there_is_the_negative_binomial_alone(counts, report) -> None:
    """The same numbers as beside the calibrated ones."""
    alone = report_of(counts, None)
    assert alone.kinds == ["negative binomial"]
    beside = report.table()
    beside = beside[beside["p_values"] == "negative binomial"].reset_index(drop=True)
    pd.testing.assert_frame_equal(alone.table(), beside, check_exact=True)
    assert len(alone.problems()) == 3


def test_variance_of_the_means_and_departure_reach_the_pit(counts, null) -> None:
    """As they reach p-values: a sample that departs by much has smaller calibrated residuals."""
    usual, wide = (
        report_of(counts, null, **more) for more in ({}, {"log_mean_variance": 0.4, "departure": 0.6})
    )
    uniforms = named_uniforms(SAMPLES, GENES, seed=0)
    pit = np.stack(
        [
            randomised_pit(row, expected_of(more=0.4)._replace(departure=0.6), uniforms=u, null=null)
            for row, u in zip(counts, uniforms, strict=True)
        ]
    )
    bins = wide.pit.set_index("p_values")["n"]
    np.testing.assert_array_equal(bins["calibrated"], np.histogram(pit, bins=20, range=(0, 1))[0])
    np.testing.assert_array_equal(
        bins["negative binomial"], usual.pit.set_index("p_values")["n"]["negative binomial"]
    )


def test_samples_in_any_order_and_one_at_a_time_give_the_same_numbers(report, counts, null) -> None:
    """A sample's tests do not depend on its company."""
    tally = CalibrationTally(counts.mean(axis=0))
    for i in reversed(range(N_SAMPLES)):
        tally.add(comparison_of(counts[[i]], null, sample_names=[SAMPLES[i]]))
    pd.testing.assert_frame_equal(tally.report().table(), report.table(), check_exact=True)


def test_one_sample_of_few_genes_is_enough() -> None:
    """Deciles and brightnesses that no gene is in have no row."""
    tally = CalibrationTally(np.ones(3))
    tally.add(compare([[0, 1, 2]], 1.0, None, sample_names=["S1"], genes=GENES[:3]))
    report = tally.report()
    assert report.sizes["genes"].unique().tolist() == ["dim"]
    assert len(report.ks) == 3
    assert (report.n_samples, report.n_genes) == (1, 3)


def test_genes_that_were_not_measured_are_left_out(counts, null) -> None:
    """The others' numbers are as if these had never been."""
    measured = np.arange(N_GENES) % 2 == 0
    tally = CalibrationTally(counts.mean(axis=0)[measured])
    tally.add(comparison_of(counts, null, measured=measured))
    report = tally.report()
    assert report.n_genes == N_GENES // 2
    assert report.pit.groupby("p_values")["n"].sum().tolist() == [N_SAMPLES * N_GENES // 2] * 2
    names = np.array(GENES)[measured].tolist()
    other = CalibrationTally(counts.mean(axis=0)[measured])
    other.add(
        compare(counts[:, measured], np.broadcast_to(means()[measured], (N_SAMPLES, len(names))), 5.0,
                sample_names=SAMPLES, genes=names, null=null)
    )  # fmt: skip
    pd.testing.assert_frame_equal(report.table(), other.report().table(), check_exact=True)
