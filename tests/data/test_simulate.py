# SPDX-License-Identifier: BSD-3-Clause
"""Simulated cohorts are what they claim to be."""

import numpy as np
import pytest

from pydgd.data.counts import as_counts
from pydgd.data.genes import gene_id_type
from pydgd.data.simulate import simulate_blocks, simulate_cohort, simulate_population
from pydgd.errors import ConfigError


@pytest.fixture(scope="module")
def simulation():
    return simulate_cohort(n_tissues=4, n_per_tissue=60, n_genes=2000, seed=3)


def scaled(adata):
    return adata.X / adata.X.mean(1, keepdims=True)


def test_shapes_names_and_labels(simulation):
    """Unique names like real ones, tissues in equal numbers, up to three samples per donor."""
    normals, cases = as_counts(simulation.normals), as_counts(simulation.cases)
    assert normals.shape == (240, 2000)
    assert cases.shape == (32, 2000)
    assert normals.X.dtype == np.int32
    assert (normals.var_names == cases.var_names).all()
    assert gene_id_type(normals.var_names) == "ensembl_human"
    assert normals.obs.tissue.value_counts().tolist() == [60] * 4
    assert normals.obs.donor.value_counts().max() == 3
    assert cases.obs.kind.value_counts().to_dict() == {"changed": 16, "unchanged": 16}
    assert not set(normals.obs.donor) & set(cases.obs.donor)
    assert not set(normals.obs_names) & set(cases.obs_names)


def test_the_same_seed_gives_the_same_data_and_another_does_not(simulation):
    """Bit for bit."""
    again = simulate_cohort(n_tissues=4, n_per_tissue=60, n_genes=2000, seed=3)
    assert np.array_equal(again.normals.X, simulation.normals.X)
    assert np.array_equal(again.cases.X, simulation.cases.X)
    assert again.truth.equals(simulation.truth)
    other = simulate_cohort(n_tissues=4, n_per_tissue=60, n_genes=2000, seed=4)
    assert not np.array_equal(other.normals.X, simulation.normals.X)


def test_the_truth_lists_the_changes_of_changed_samples_only(simulation):
    """Sizes within bounds, half up and half down, each gene once per sample."""
    truth, kinds = simulation.truth, simulation.cases.obs.kind
    assert truth.columns.tolist() == ["sample", "gene", "log2_fold_change"]
    assert set(truth["sample"]) == set(kinds.index[kinds == "changed"])
    assert truth.log2_fold_change.abs().between(1, 3).all()
    assert not truth.duplicated(["sample", "gene"]).any()
    up = (truth.log2_fold_change > 0).groupby(truth["sample"]).mean()
    assert up.between(0.48, 0.52).all()


def test_planted_changes_show_with_their_size(simulation):
    """Log2 of case over its tissue's mean follows the planted fold change with slope 1."""
    normals, cases = simulation.normals, simulation.cases
    profile = {t: scaled(normals)[normals.obs.tissue == t].mean(0) for t in normals.obs.tissue.cat.categories}
    expected = np.stack([profile[t] for t in cases.obs.tissue])
    ratio = np.log2((scaled(cases) + 1e-3) / (expected + 1e-3))
    rows = cases.obs_names.get_indexer(simulation.truth["sample"])
    columns = cases.var_names.get_indexer(simulation.truth["gene"])
    planted = simulation.truth.log2_fold_change.to_numpy()
    slope = np.polyfit(planted, ratio[rows, columns], 1)[0]
    assert slope == pytest.approx(1, abs=0.1)
    unchanged = (cases.obs.kind == "unchanged").to_numpy()
    assert abs(np.median(ratio[unchanged])) < 0.2


def test_depth_is_realistic():
    """Log-normal library sizes of 10 to 60 million reads per 20,000 genes."""
    totals = simulate_cohort(n_genes=1000, seed=1).normals.X.sum(1) * 20
    assert 8e6 < totals.min() < 15e6
    assert np.median(totals) == pytest.approx(25e6, rel=0.15)
    assert 45e6 < totals.max() < 75e6


def test_expression_spans_five_orders_of_magnitude(simulation):
    """Between the 0.5th and the 99.5th percentile of gene means, and no gene takes over a library."""
    means = simulation.normals.X.mean(0)
    low, high = np.quantile(means, [0.005, 0.995])
    assert 4.3 < np.log10(high / low) < 6
    share = simulation.normals.X / simulation.normals.X.sum(1, keepdims=True)
    assert np.median(share.max(1)) < 0.15
    assert share.max() < 0.5


def test_tissues_differ_and_genes_move_together(simulation):
    """Tissue explains most of the variance of log counts; within a tissue there are shared programmes."""
    log = np.log1p(scaled(simulation.normals))[:, simulation.normals.X.mean(0) > 20]
    tissue = simulation.normals.obs.tissue.cat.codes.to_numpy()
    centres = np.stack([log[tissue == t].mean(0) for t in range(4)])
    within = log - centres[tissue]
    assert within.var() < 0.5 * (log - log.mean(0)).var()
    spread = np.linalg.svd(within - within.mean(0), compute_uv=False) ** 2
    independent = np.linalg.svd(np.random.default_rng(0).permuted(within, axis=0), compute_uv=False) ** 2
    assert spread[:3].sum() > 3 * independent[:3].sum()


def test_samples_of_one_donor_are_alike(simulation):
    """Residuals from the tissue's mean correlate within donors, not between."""
    log = np.log1p(scaled(simulation.normals))[:, simulation.normals.X.mean(0) > 50]
    tissue = simulation.normals.obs.tissue.cat.codes.to_numpy()
    within = log - np.stack([log[tissue == t].mean(0) for t in range(4)])[tissue]
    correlation = np.corrcoef(within)
    donor = simulation.normals.obs.donor.to_numpy()
    same = (donor[:, None] == donor) & ~np.eye(len(donor), dtype=bool)
    other = donor[:, None] != donor
    assert correlation[same].mean() > correlation[other].mean() + 0.1


def test_dispersion_follows_the_trend():
    """Bright genes near a0 times scatter, dim genes above, none beyond the bound."""
    population = simulate_population(n_tissues=3, n_genes=5000, seed=0)
    share = np.exp(population.log_share)
    mean = (share / share.sum(1, keepdims=True)).mean(0) * 25e6 * 5000 / 20_000
    for low, high in ((1, 10), (10, 100), (1000, 1e5)):
        chosen = (mean > low) & (mean < high)
        trend = 0.03 + 1.5 / mean[chosen]
        assert np.median(population.dispersion[chosen] / trend) == pytest.approx(1, rel=0.1)
    assert population.dispersion.min() > 0
    assert population.dispersion.max() <= 10


@pytest.mark.parametrize(
    "options", [{"n_changed": 0}, {"n_unchanged": 0}, {"changed_share": 0.0}, {"n_tissues": 1}]
)
def test_corners_of_the_options(options):
    """No changed or no unchanged case, nothing planted, one tissue."""
    simulation = simulate_cohort(**{"n_tissues": 2, "n_per_tissue": 4, "n_genes": 60, **options})
    nothing = options.get("n_changed", 1) == 0 or options.get("changed_share", 1) == 0
    assert simulation.truth.empty == nothing
    assert simulation.truth.columns.tolist() == ["sample", "gene", "log2_fold_change"]


def test_more_tissues_than_names_get_numbers():
    """Tissue 12 and on."""
    names = simulate_cohort(n_tissues=13, n_per_tissue=1, n_genes=30).normals.obs.tissue.cat.categories
    assert names[-1] == "tissue 13"
    assert names.is_unique


def test_blocks_are_deterministic_and_number_their_samples():
    """Each block is the same whatever was drawn before; donors and names go on."""
    options = {"n_tissues": 3, "n_genes": 40, "block_size": 9, "seed": 5}
    blocks = list(simulate_blocks(21, **options))
    assert [block.n_obs for block in blocks] == [9, 9, 3]
    again = next(block for i, block in enumerate(simulate_blocks(100, **options)) if i == 1)
    assert np.array_equal(again.X, blocks[1].X)
    names = [name for block in blocks for name in block.obs_names]
    assert names == [f"N{i:05d}" for i in range(1, 22)]
    donors = [set(block.obs.donor) for block in blocks]
    assert not donors[0] & donors[1]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: simulate_cohort(n_genes=0), "n_genes 0; give at least 1"),
        (lambda: simulate_cohort(n_tissues=0), "n_tissues is 0"),
        (lambda: simulate_cohort(changed_share=1.5), "changed_share is 1.5"),
        (lambda: simulate_cohort(log2_fold_changes=(2.0, 1.0)), "rising order"),
        (lambda: next(simulate_blocks(10, block_size=10)), "multiple of 3"),
        (lambda: next(simulate_blocks(0)), "at least 1 sample"),
    ],
)
def test_numbers_out_of_range_are_refused(call, message):
    """With what is allowed."""
    with pytest.raises(ConfigError, match=message):
        call()
