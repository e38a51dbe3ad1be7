# SPDX-License-Identifier: BSD-3-Clause
"""What a trained `DGD` says of a query: names, company, masks, bad input."""

import logging
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from pydgd import DGD, differential_expression
from pydgd.data import Simulation, simulate_cohort
from pydgd.errors import ConfigError, CountsError, GeneMismatchError, NamesError


@pytest.fixture(scope="module")
def cohort() -> Simulation:
    """60 healthy samples of 3 tissues, 6 cases, 200 genes."""
    return simulate_cohort(n_tissues=3, n_per_tissue=20, n_genes=200, n_changed=3, n_unchanged=3, seed=0)


@pytest.fixture(scope="module")
def model(cohort: Simulation) -> DGD:
    """A small model."""
    return DGD.fit(cohort.normals, latent_dim=4, epochs=4, n_components=2)


def frame(adata: AnnData) -> pd.DataFrame:
    """Counts as a table."""
    return pd.DataFrame(np.asarray(adata.X), index=adata.obs_names, columns=adata.var_names)


def test_names_are_the_querys(cohort: Simulation, model: DGD) -> None:
    """Samples in the query's order, genes in the model's."""
    normal = model.closest_normal(cohort.cases[::-1].copy())
    assert normal.sample_names == tuple(cohort.cases.obs_names[::-1])
    assert normal.genes == model.genes
    assert normal.fit.index.tolist() == list(normal.sample_names)


def test_order_and_company_change_no_bit(cohort: Simulation, model: DGD) -> None:
    """Genes and samples shuffled, one sample alone, a table instead of an AnnData."""
    whole = model.closest_normal(cohort.cases)
    rng = np.random.default_rng(3)
    mixed = model.closest_normal(cohort.cases[rng.permutation(6), rng.permutation(200)].copy())
    rows = mixed.rows_of(pd.Index(whole.sample_names))
    assert whole.means.tobytes() == mixed.means[rows].tobytes()
    assert whole.representations.tobytes() == mixed.representations[rows].tobytes()
    pd.testing.assert_frame_equal(whole.fit, mixed.fit.iloc[rows], check_exact=True)
    alone = model.closest_normal(frame(cohort.cases).iloc[2:3])
    assert alone.means.tobytes() == whole.means[2:3].tobytes()


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.coo_array])
def test_arrays_with_names_are_queries(cohort: Simulation, model: DGD, form) -> None:
    """To fit, to ask and to compare: the same as the AnnData; without names, the message says how."""
    cases = cohort.cases
    matrix, expected = form(np.asarray(cases.X)), model.closest_normal(cases)
    names = {"sample_names": cases.obs_names, "genes": cases.var_names}
    normal = model.closest_normal(matrix, **names)
    assert normal.means.tobytes() == expected.means.tobytes()
    assert normal.sample_names == expected.sample_names
    table = differential_expression(matrix, normal, **names)
    pd.testing.assert_frame_equal(table, differential_expression(cases, expected))
    for call in (model.closest_normal, DGD.fit, lambda data: differential_expression(data, normal)):
        with pytest.raises(NamesError, match=r"pass sample_names=\[...\], one for each row"):
            call(matrix)


def test_an_array_trains_the_same_model(cohort: Simulation) -> None:
    """As a table of the same counts."""
    options = {"latent_dim": 4, "epochs": 2, "n_components": 2}
    made = DGD.fit(
        np.asarray(cohort.normals.X),
        sample_names=cohort.normals.obs_names,
        genes=cohort.normals.var_names,
        **options,
    )
    assert made.record.content_hash == DGD.fit(frame(cohort.normals), **options).record.content_hash


def test_tissue_is_found(cohort: Simulation) -> None:
    """Expected counts are closer to the sample's own tissue than to any other."""
    trained = DGD.fit(cohort.normals, latent_dim=4, epochs=20)
    normal = trained.closest_normal(cohort.cases)
    genes = list(normal.genes)
    table = frame(cohort.normals)[genes]
    shares = np.log1p(1e6 * table.div(table.sum(axis=1), axis=0))
    profiles = shares.groupby(cohort.normals.obs["tissue"].astype(str)).mean()
    found = np.log1p(1e6 * normal.means / normal.means.sum(axis=1, keepdims=True))
    distance = np.linalg.norm(found[:, None] - profiles.to_numpy()[None], axis=2)
    assert profiles.index[distance.argmin(axis=1)].tolist() == cohort.cases.obs["tissue"].astype(str).tolist()


def test_missing_genes_are_masked(cohort: Simulation, model: DGD, caplog: pytest.LogCaptureFixture) -> None:
    """Half of the genes give nearly the same depth and tissue as all; it is said how many are missing."""
    part = cohort.cases[:, ::2].copy()
    with caplog.at_level(logging.WARNING, logger="pydgd"):
        half = model.closest_normal(part, min_shared=0.3)
    whole = model.closest_normal(cohort.cases)
    assert "the counts lack" in caplog.text
    assert half.means.shape == whole.means.shape
    assert not half.measured.all()
    np.testing.assert_allclose(half.scaling_factors, whole.scaling_factors, rtol=0.5)
    assert (half.fit["dgd_measured_share"] == half.measured.mean()).all()
    zero = cohort.cases.copy()
    zero.X = np.asarray(zero.X).copy()
    zero.X[:, 1::2] = 0
    assert not np.allclose(half.means, model.closest_normal(zero).means, rtol=0.1)


def test_too_few_shared_genes_are_an_error(cohort: Simulation, model: DGD) -> None:
    """Unless the user allows it."""
    part = cohort.cases[:, ::4].copy()
    with pytest.raises(GeneMismatchError):
        model.closest_normal(part)
    assert model.closest_normal(part, min_shared=0.1).measured.mean() < 0.5


def test_unknown_genes_are_left_out(cohort: Simulation, model: DGD) -> None:
    """They change nothing."""
    table = frame(cohort.cases).assign(NEW=10**6)
    assert model.closest_normal(table).means.tobytes() == model.closest_normal(cohort.cases).means.tobytes()


@pytest.mark.parametrize("point", ["posterior", "map"])
def test_the_point_is_recorded(cohort: Simulation, model: DGD, point: str) -> None:
    """By its name."""
    assert model.closest_normal(cohort.cases, point=point).provenance["point"] == point


def test_posterior_is_the_default(cohort: Simulation, model: DGD) -> None:
    """To the bit."""
    default, named = (model.closest_normal(cohort.cases, **more) for more in ({}, {"point": "posterior"}))
    assert default.means.tobytes() == named.means.tobytes()


@pytest.mark.parametrize("point", ["mean", "MAP", "", None])
def test_unknown_point_is_refused(cohort: Simulation, model: DGD, point: object) -> None:
    """With those that there are."""
    with pytest.raises(
        (ConfigError, TypeError), match=rf"point must be one of posterior, map, got {point!r}|point"
    ):
        model.closest_normal(cohort.cases, point=point)


@pytest.mark.parametrize("min_shared", [0.0, -1.0, 1.5])
def test_share_out_of_range_is_refused(cohort: Simulation, model: DGD, min_shared: float) -> None:
    """With what is allowed."""
    with pytest.raises(ConfigError, match="min_shared"):
        model.closest_normal(cohort.cases, min_shared=min_shared)


def test_query_is_not_changed(cohort: Simulation, model: DGD) -> None:
    """Nor does the model change."""
    before = cohort.cases.copy()
    state = {name: tensor.clone() for name, tensor in model.record.model.state_dict().items()}
    model.closest_normal(cohort.cases)
    assert np.array_equal(cohort.cases.X, before.X)
    pd.testing.assert_frame_equal(cohort.cases.obs, before.obs)
    assert all(tensor.equal(state[name]) for name, tensor in model.record.model.state_dict().items())


def test_very_deep_sample(cohort: Simulation, model: DGD) -> None:
    """1e8 reads of a gene, more than float32 counts exactly: finite; the others' bits are the same."""
    table = frame(cohort.cases).astype(np.int64)
    table.iloc[0, 5] = 10**8
    deep, usual = model.closest_normal(table), model.closest_normal(cohort.cases)
    assert np.isfinite(deep.means).all()
    assert deep.means[1:].tobytes() == usual.means[1:].tobytes()


def test_progress_counts_samples(cohort: Simulation, model: DGD) -> None:
    """Up to all."""
    calls = []
    model.closest_normal(cohort.cases, progress=lambda done, n: calls.append((done, n)))
    assert calls[-1] == (6, 6)


def test_aliases_of_scvi_tools(cohort: Simulation, model: DGD) -> None:
    """The names users of scvi-tools type give the same numbers."""
    normal = model.closest_normal(cohort.cases)
    assert np.array_equal(model.get_latent_representation(cohort.cases), normal.representations)
    expression = model.get_normalized_expression(cohort.cases)
    assert expression.index.tolist() == cohort.cases.obs_names.tolist()
    assert expression.columns.tolist() == list(model.genes)
    np.testing.assert_allclose(expression * normal.scaling_factors[:, None], normal.means, rtol=1e-6)


def test_aliases_take_arrays_with_names(cohort: Simulation, model: DGD) -> None:
    """As closest_normal does."""
    cases, names = cohort.cases, {"sample_names": cohort.cases.obs_names, "genes": cohort.cases.var_names}
    array = np.asarray(cases.X)
    assert np.array_equal(
        model.get_latent_representation(array, **names), model.get_latent_representation(cases)
    )
    pd.testing.assert_frame_equal(
        model.get_normalized_expression(array, **names), model.get_normalized_expression(cases)
    )
    with pytest.raises(NamesError, match="pass sample_names"):
        model.get_latent_representation(array)


def test_chunks_of_a_backed_file(cohort: Simulation, model: DGD, tmp_path: Path) -> None:
    """Put together they are the answer for the whole in memory, and so are the tests of their genes."""
    cohort.cases.write_h5ad(tmp_path / "cases.h5ad")
    backed = anndata.read_h5ad(tmp_path / "cases.h5ad", backed="r")
    whole = model.closest_normal(cohort.cases)
    chunks = list(model.closest_normal_chunks(backed, chunk_size=4))
    assert [chunk.sample_names for chunk in chunks] == [whole.sample_names[:4], whole.sample_names[4:]]
    assert np.concatenate([chunk.means for chunk in chunks]).tobytes() == whole.means.tobytes()
    pd.testing.assert_frame_equal(pd.concat([chunk.fit for chunk in chunks]), whole.fit, check_exact=True)
    assert chunks[0].provenance == whole.provenance
    tables = [differential_expression(backed[list(chunk.sample_names)], chunk) for chunk in chunks]
    expected = differential_expression(cohort.cases, whole)
    plain = {"sample": str, "gene": str}
    pd.testing.assert_frame_equal(
        pd.concat(tables, ignore_index=True).astype(plain), expected.astype(plain), check_exact=True
    )
    backed.file.close()


def test_chunks_of_what_is_in_memory(cohort: Simulation, model: DGD) -> None:
    """A table, or an array with names; by default the chunks are as large as memory allows."""
    array = np.asarray(cohort.cases.X)
    names = {"sample_names": cohort.cases.obs_names, "genes": cohort.cases.var_names}
    expected = model.closest_normal(cohort.cases).means
    for query, more in ((frame(cohort.cases), {}), (array, names)):
        (chunk,) = model.closest_normal_chunks(query, **more)
        assert chunk.means.tobytes() == expected.tobytes()


def test_all_is_checked_before_the_first_search(cohort: Simulation, model: DGD) -> None:
    """A bad count of the last sample, too few genes, an unknown point: told at the call."""
    table = frame(cohort.cases)
    bad = table.astype(float)
    bad.iloc[-1, 0] = -1.0
    with pytest.raises(CountsError, match=repr(table.index[-1])):
        model.closest_normal_chunks(bad)
    with pytest.raises(GeneMismatchError):
        model.closest_normal_chunks(table.iloc[:, :20])
    with pytest.raises(ConfigError, match="point must be one of posterior, map"):
        model.closest_normal_chunks(table, point="mean")
    with pytest.raises(ConfigError, match="chunk_size must be a whole number of samples"):
        model.closest_normal_chunks(table, chunk_size=0)


def test_two_genes_from_training_to_query(cohort: Simulation) -> None:
    """The smallest model: trained, then asked."""
    genes = np.asarray(cohort.normals.X).min(axis=0).argsort()[-2:]
    made = DGD.fit(cohort.normals[:, genes].copy(), latent_dim=4, epochs=4)
    normal = made.closest_normal(cohort.cases[:, genes].copy())
    assert np.isfinite(normal.means).all()
    assert normal.means.shape == (6, 2)
