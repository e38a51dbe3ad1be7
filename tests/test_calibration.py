# SPDX-License-Identifier: BSD-3-Clause
"""The calibration report of a model: joins, bounded memory, the same numbers as the table of every test."""

import dataclasses
import logging

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import stats

import pydgd
from pydgd.data import open_counts, simulate_cohort
from pydgd.data.h5ad_writer import write_h5ad
from pydgd.errors import ConfigError, CountsError, GeneMismatchError, NamesError
from pydgd.stats import CalibrationReport

N_HEALTHY = 9


@pytest.fixture(scope="module")
def model() -> pydgd.DGD:
    """Calibrated on 12 samples that were held out."""
    cohort = simulate_cohort(n_tissues=2, n_per_tissue=60, n_genes=400, seed=0)
    return pydgd.DGD.fit(cohort.normals, latent_dim=4, epochs=5)


@pytest.fixture(scope="module")
def healthy() -> AnnData:
    """Samples of other donors from the same population."""
    cohort = simulate_cohort(
        n_tissues=2, n_per_tissue=1, n_genes=400, n_changed=0, n_unchanged=N_HEALTHY, seed=0
    )
    return cohort.cases


@pytest.fixture(scope="module")
def report(model: pydgd.DGD, healthy: AnnData) -> CalibrationReport:
    return pydgd.calibration_report(model, healthy)


@pytest.fixture(scope="module")
def table(model: pydgd.DGD, healthy: AnnData) -> pd.DataFrame:
    """Every test, by the API."""
    return pydgd.differential_expression(healthy, model.closest_normal(healthy), level=1e-3)


def assert_same(one: CalibrationReport, other: CalibrationReport) -> None:
    for field in dataclasses.fields(one):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, pd.DataFrame):
            pd.testing.assert_frame_equal(mine, theirs, check_exact=True)
        else:
            assert mine == theirs


def test_numbers_are_those_of_the_table_of_every_test(report, table, healthy, model) -> None:
    """Sizes and calls of both kinds of p-values."""
    assert report.kinds == ["calibrated", "negative binomial"]
    assert (report.n_samples, report.n_genes) == (N_HEALTHY, len(model.genes))
    reads = healthy.to_df().mean()[table["gene"].astype(str)].to_numpy()
    p_values = {"calibrated": table["pvalue"], "negative binomial": table["pvalue_nb"]}
    for row in report.sizes.itertuples():
        p = p_values[row.p_values][(reads >= 20) == (row.genes == "bright")]
        assert (row.n, row.n_below) == (len(p), (p <= row.level).sum())
    for kind, p in p_values.items():
        by_sample = p.groupby(table["sample"], observed=True)
        expected = by_sample.apply(lambda p: (stats.false_discovery_control(p) < 0.05).sum())
        found = report.calls[report.calls["p_values"] == kind].set_index("sample")["calls"]
        assert found.to_dict() == expected.to_dict()


@pytest.mark.parametrize("chunk_size", [1, 4])
def test_chunks_change_nothing(model, healthy, report, chunk_size) -> None:
    """To the last digit."""
    assert_same(pydgd.calibration_report(model, healthy, chunk_size=chunk_size), report)


def test_counts_on_disk_tables_and_arrays_are_taken(model, healthy, report, tmp_path) -> None:
    """A backed AnnData, opened rows, a DataFrame with genes in another order, an array with names."""
    write_h5ad(healthy, tmp_path / "healthy.h5ad")
    backed = anndata.read_h5ad(tmp_path / "healthy.h5ad", backed="r")
    assert_same(pydgd.calibration_report(model, backed), report)
    backed.file.close()
    with open_counts(tmp_path / "healthy.h5ad") as rows:
        assert_same(pydgd.calibration_report(model, rows), report)
    assert_same(pydgd.calibration_report(model, healthy.to_df().iloc[:, ::-1]), report)
    names = {"sample_names": healthy.obs_names, "genes": healthy.var_names}
    assert_same(pydgd.calibration_report(model, np.asarray(healthy.X), **names), report)


def test_the_seed_moves_the_random_part_alone(model, healthy, report) -> None:
    """P-values have none."""
    other = pydgd.calibration_report(model, healthy, seed=1)
    assert not other.pit.equals(report.pit)
    for name in ("sizes", "calls", "directions", "quantiles"):
        pd.testing.assert_frame_equal(getattr(other, name), getattr(report, name))


def test_genes_that_were_not_measured_are_not_tested(model, healthy, caplog) -> None:
    """Nor counted; one warning says so."""
    with caplog.at_level(logging.WARNING):
        report = pydgd.calibration_report(model, healthy[:, list(model.genes[:300])])
    assert report.n_genes == 300
    assert report.sizes.groupby(["p_values", "level"])["n"].sum().unique().tolist() == [300 * N_HEALTHY]
    assert sum("the counts lack" in message for message in caplog.messages) == 1


def test_training_samples_are_noticed_by_name(model, caplog) -> None:
    """They fit too well."""
    cohort = simulate_cohort(n_tissues=2, n_per_tissue=60, n_genes=400, seed=0)
    seen = cohort.normals[list(model.record.sample_names[:3])]
    with caplog.at_level(logging.WARNING):
        pydgd.calibration_report(model, seen)
    assert "3 samples of 3 have the names of training samples" in caplog.text


def test_progress_is_reported(model, healthy) -> None:
    """Samples done and in all."""
    seen: list[tuple[int, int]] = []
    pydgd.calibration_report(model, healthy, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (N_HEALTHY, N_HEALTHY)


def test_a_model_without_held_out_samples_reports_the_negative_binomial(healthy) -> None:
    """And nothing that it does not have."""
    cohort = simulate_cohort(n_tissues=2, n_per_tissue=10, n_genes=400, seed=0)
    model = pydgd.DGD.fit(cohort.normals, latent_dim=2, epochs=2, validation=0)
    assert pydgd.calibration_report(model, healthy).kinds == ["negative binomial"]


def test_bad_input_is_refused_as_everywhere(model, healthy) -> None:
    """Counts, names, genes and options."""
    table = healthy.to_df()
    with pytest.raises(CountsError, match="fractional"):
        pydgd.calibration_report(model, table + 0.5)
    with pytest.raises(GeneMismatchError):
        pydgd.calibration_report(model, table.add_prefix("other_"))
    with pytest.raises(NamesError, match="repeated"):
        pydgd.calibration_report(model, table.set_axis([table.index[0]] * len(table)))
    with pytest.raises(ConfigError, match="chunk_size"):
        pydgd.calibration_report(model, table, chunk_size=0)
    with pytest.raises(ConfigError, match="min_shared"):
        pydgd.calibration_report(model, table, min_shared=2.0)
