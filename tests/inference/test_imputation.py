# SPDX-License-Identifier: BSD-3-Clause
"""Reads of genes that a query lacks, with intervals that hold."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import special, stats

from pydgd import DGD
from pydgd.data import Simulation, simulate_cohort
from pydgd.errors import ConfigError, GeneMismatchError
from pydgd.inference.imputation import imputed, inverse_trigamma


@pytest.fixture(scope="module")
def cohort() -> Simulation:
    """180 healthy samples of 3 tissues, 800 genes."""
    return simulate_cohort(n_tissues=3, n_per_tissue=60, n_genes=800, seed=0)


@pytest.fixture(scope="module")
def model(cohort: Simulation) -> DGD:
    """A model of every second sample."""
    return DGD.fit(cohort.normals[::2].copy(), latent_dim=4, epochs=10, validation=0.3)


@pytest.fixture(scope="module")
def panel(cohort: Simulation) -> AnnData:
    """450 of the genes of samples that the model has not seen."""
    kept = np.sort(np.random.default_rng(0).permutation(cohort.normals.n_vars)[:450])
    return cohort.normals[1::2, kept].copy()


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_intervals_hold_what_they_promise(cohort, model, panel, level: float) -> None:
    """Of reads that were not shown, `level` lies within, give or take 5 %, in genes of 10 reads or more."""
    found = model.impute(panel, level=level)
    reads = np.asarray(cohort.normals[found.obs_names, found.var_names].X)
    bright = found.layers["mean"] >= 10
    inside = (reads >= found.layers["lower"]) & (reads <= found.layers["upper"])
    assert abs(inside[bright].mean() - level) < 0.05
    assert inside[~bright].mean() > level - 0.05


def test_genes_go_by_name_in_any_order(model, panel) -> None:
    """Same genes in another order of query and targets, same numbers."""
    names = [name for name in model.genes if name not in set(panel.var_names)]
    assert model.impute(panel[:8]).var_names.tolist() == names
    backwards = model.impute(panel[:8, ::-1].copy(), targets=names[::-1])
    again = model.impute(panel[:8], targets="missing")[:, backwards.var_names]
    for layer in ("mean", "lower", "upper"):
        np.testing.assert_array_equal(backwards.layers[layer], again.layers[layer])


def test_all_genes_or_none(cohort, model, panel) -> None:
    """`all` has the measured genes too; a full query lacks none."""
    found = model.impute(panel[:4], targets="all")
    assert found.var_names.tolist() == list(model.genes)
    assert found.var["measured"].sum() == panel.var_names.isin(model.genes).sum()
    assert model.impute(cohort.normals[:4].copy()).shape == (4, 0)


def test_wider_where_more_is_unknown(model, panel) -> None:
    """Intervals are wider than the negative binomial's alone, much wider in samples that departed."""
    normal = model.closest_normal(panel[:20])
    found = imputed(normal)
    columns = ~normal.measured
    mu, r = normal.means[:, columns], normal.r[columns]
    alone = stats.nbinom.ppf(0.95, r, r / (r + mu)) - stats.nbinom.ppf(0.05, r, r / (r + mu))
    width = found.layers["upper"] - found.layers["lower"]
    assert (width >= alone - 1).mean() > 0.99
    assert width.sum() > alone.sum()
    departed = normal.departure > 0
    assert departed.any()
    assert width[departed].sum() > 1.02 * alone[departed].sum()


def test_map_intervals_are_the_negative_binomials(model, panel) -> None:
    """Where nothing is known of the mean's uncertainty, SciPy's quantiles."""
    normal = model.closest_normal(panel[:4], point="map")
    mu, r = normal.means.astype(float), normal.r
    found = imputed(normal, targets="all", level=0.8)
    np.testing.assert_array_equal(found.layers["upper"], stats.nbinom.ppf(0.9, r, r / (r + mu)))


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, float("nan")])
def test_refuses_levels(model, panel, level: float) -> None:
    with pytest.raises(ConfigError, match="level must lie between 0 and 1"):
        model.impute(panel[:1], level=level)


def test_refuses_unknown_targets(model, panel) -> None:
    with pytest.raises(ConfigError, match="targets must be"):
        model.impute(panel[:1], targets="others")
    with pytest.raises(GeneMismatchError, match=r"lacks 1 of 2 genes \(first: 'X'\)"):
        model.impute(panel[:1], targets=[model.genes[0], "X"])


@pytest.mark.parametrize("kind", [iter, dict.fromkeys, pd.Index, np.array])
def test_targets_may_be_any_iterable(model, panel, kind) -> None:
    """One that can be read only once among them."""
    names = list(model.genes[:3])
    assert model.impute(panel[:2], targets=kind(names)).var_names.tolist() == names


def test_targets_count_once_and_are_not_none(model, panel) -> None:
    """A gene that is named twice has one column."""
    first, second = model.genes[:2]
    found = model.impute(panel[:2], targets=[second, first, second])
    assert found.var_names.tolist() == [second, first]
    with pytest.raises(ConfigError, match="targets names no gene; give names"):
        model.impute(panel[:2], targets=[])


@pytest.mark.parametrize("r", [1e-30, 1e-12, 1e-6, 1e-3, 1.0, 1e8, 1e30])
def test_bounds_hold_for_any_dispersion(model, panel, r: float) -> None:
    """Those of a negative binomial where nothing else varies much: within the SciPy quantiles of that."""
    normal = model.closest_normal(panel[:2])
    r_of_all = np.full(len(normal.genes), r)
    sure = replace(normal, r=r_of_all, log_mean_variance=np.full_like(normal.means, 1e-9), departure=None)
    found = imputed(sure, targets="all", level=0.5)
    mean = sure.means.astype(np.float64)
    shape = min(r, 1e12)
    for layer, share in (("lower", 0.25), ("upper", 0.75)):
        expected = stats.nbinom(shape, shape / (shape + mean)).ppf(share)
        np.testing.assert_allclose(found.layers[layer], expected, rtol=1e-3, atol=1)


def test_inverse_trigamma_is_the_inverse() -> None:
    """From 1e-50 to 1e50."""
    x = np.logspace(-50, 50, 201)
    np.testing.assert_allclose(inverse_trigamma(special.polygamma(1, x)), x, rtol=1e-9)
