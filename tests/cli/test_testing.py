# SPDX-License-Identifier: BSD-3-Clause
"""What `pydgd de` writes besides a tidy table: a matrix, and an annotated AnnData."""

from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from pydgd import DGD, annotate, differential_expression, read_counts, wide
from pydgd.inference import chunks

from .conftest import Result

Run = Callable[..., Result]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """8 samples at a time, whatever the memory: 20 samples are 3 chunks."""
    monkeypatch.setattr(chunks, "MOST_SAMPLES", 8)


@pytest.mark.usefixtures("small_chunks")
def test_an_annotated_anndata_in_chunks_is_that_of_all_at_once(
    pydgd: Run, cohort: Path, healthy: Path, tmp_path: Path
) -> None:
    """h5ad and zarr: the counts, layers, positions and flags of `pydgd.annotate`."""
    query = read_counts(healthy)
    normal = DGD.load(cohort / "normals.dgd").closest_normal(query)
    expected = annotate(query, normal, differential_expression(query, normal))
    for name in ("out.h5ad", "out.zarr"):
        assert pydgd("de", cohort / "normals.dgd", healthy, "-o", tmp_path / name).code == 0
    for found in (anndata.read_h5ad(tmp_path / "out.h5ad"), anndata.read_zarr(tmp_path / "out.zarr")):
        assert set(found.layers) == {"dgd_mean", "dgd_log2fc", "dgd_padj"}
        for name, layer in expected.layers.items():
            np.testing.assert_array_equal(found.layers[name], layer)
        np.testing.assert_array_equal(found.obsm["X_dgd"], expected.obsm["X_dgd"])
        np.testing.assert_array_equal(found.X, expected.X)
        assert "dgd_converged" in found.obs


@pytest.mark.usefixtures("small_chunks")
def test_a_wide_matrix_in_chunks_is_that_of_all_at_once(
    pydgd: Run, cohort: Path, healthy: Path, tmp_path: Path
) -> None:
    """Samples in rows, genes in columns; rows that --only leaves out are empty."""
    query = read_counts(healthy)
    table = differential_expression(query, DGD.load(cohort / "normals.dgd").closest_normal(query))
    asked = ["de", cohort / "normals.dgd", healthy, "--wide", "padj"]
    assert pydgd(*asked, "-o", tmp_path / "w.csv").code == 0
    found = pd.read_csv(tmp_path / "w.csv", index_col="sample", float_precision="round_trip")
    np.testing.assert_array_equal(found, wide(table, "padj"))
    assert found.columns.tolist() == table["gene"].cat.categories.tolist()
    assert pydgd(*asked, "-o", tmp_path / "w.parquet", "--only", "padj<0.9").code == 0
    gaps = pd.read_parquet(tmp_path / "w.parquet").set_index("sample")
    assert (np.isfinite(gaps) == (found < 0.9)).all(axis=None)


def test_a_wide_matrix_takes_a_known_column_and_a_table(pydgd: Run, cohort: Path, tmp_path: Path) -> None:
    """Refused before the search."""
    asked = ["de", cohort / "normals.dgd", cohort / "cases.h5ad"]
    unknown = pydgd(*asked, "-o", tmp_path / "w.csv", "--wide", "pdj")
    assert (unknown.code, "--wide pdj: no such column" in unknown.err) == (2, True)
    wrong = pydgd(*asked, "-o", tmp_path / "w.h5ad", "--wide", "padj")
    assert (wrong.code, "--wide is for tables" in wrong.err) == (2, True)
    assert not list(tmp_path.iterdir())


def test_r_finds_columns_and_types_that_it_knows(pydgd: Run, cohort: Path, tmp_path: Path) -> None:
    """What docs/results.md reads with arrow: PyDESeq2's names first, factors, doubles and logicals."""
    path = tmp_path / "de.parquet"
    assert pydgd("de", cohort / "normals.dgd", cohort / "cases.h5ad", "-o", path).code == 0
    schema = parquet.read_schema(path)
    assert schema.names[:9] == [
        "sample", "gene", "observed", "baseMean", "log2FoldChange", "lfcSE", "stat", "pvalue", "padj",
    ]  # fmt: skip
    assert all(pa.types.is_dictionary(schema.field(name).type) for name in ("sample", "gene"))
    assert all(pa.types.is_float64(schema.field(name).type) for name in schema.names[2:9])
    assert pa.types.is_boolean(schema.field("eligible_up").type)
