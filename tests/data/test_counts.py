# SPDX-License-Identifier: BSD-3-Clause
"""Counts in memory, from whatever holds them."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from pydgd.data.counts import as_counts
from pydgd.errors import ConfigError, CountsError, NamesError

SAMPLES, GENES = ["S1", "S2", "S3"], ["TP53", "MYC"]
COUNTS = np.array([[1, 2], [3, 4], [5, 6]])


def frame(**columns):
    return pd.DataFrame(COUNTS.copy(), index=SAMPLES, columns=GENES).assign(**columns)


def adata(matrix=COUNTS, **layers):
    return AnnData(
        matrix,
        obs=pd.DataFrame({"tissue": ["a", "b", "c"]}, index=SAMPLES),
        var=pd.DataFrame({"id": [7157, 4609]}, index=GENES),
        layers=layers,
    )


def check(result, counts=COUNTS):
    matrix = result.X.toarray() if sparse.issparse(result.X) else result.X
    assert np.array_equal(matrix, counts)
    assert result.obs_names.tolist() == SAMPLES[: len(counts)]
    assert result.var_names.tolist() == GENES


@pytest.mark.parametrize(
    "container",
    [np.array, sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix, sparse.csc_array, sparse.coo_array],
)
def test_arrays_with_names_become_anndata(container):
    """Dense and every sparse format; names may be lists or an Index."""
    check(as_counts(container(COUNTS), sample_names=SAMPLES, genes=pd.Index(GENES)))


def test_a_dataframe_keeps_names_and_turns_words_into_labels():
    """Text, categories and truth values become obs; numbers stay genes."""
    given = frame(tissue=["a", "b", "c"], group=pd.Categorical(["x", "y", "x"]), tumour=[True, False, True])
    result = as_counts(given)
    check(result)
    assert result.obs.columns.tolist() == ["tissue", "group", "tumour"]
    assert result.obs.tissue.tolist() == ["a", "b", "c"]


def test_a_plain_dataframe_is_not_copied():
    """One block of numbers is used as it is."""
    given = frame()
    assert np.shares_memory(as_counts(given).X, given.to_numpy())


@pytest.mark.parametrize("dtype", ["Int64", "Float64", object])
def test_nullable_and_object_numbers_are_numbers(dtype):
    """What pandas stores in its own types or as objects is counted all the same."""
    check(as_counts(frame().astype(dtype)))


def test_numeric_names_become_text():
    """Entrez ids as column labels."""
    result = as_counts(pd.DataFrame(COUNTS, index=[1, 2, 3], columns=[7157, 4609]))
    assert result.var_names.tolist() == ["7157", "4609"]
    assert result.obs_names.tolist() == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (frame(KRAS=[1, "many", 2]), CountsError, "sample 'S2', gene 'KRAS' holds 'many', not a number"),
        (
            frame(KRAS=pd.array([1, None, 2], dtype="Int64")),
            CountsError,
            "missing count (NaN): sample 'S2', gene 'KRAS'",
        ),
        (frame().rename(columns={"MYC": "TP53"}), NamesError, "repeated gene names: 1 (first: 'TP53')"),
        (frame().rename(index={"S3": "S1"}), NamesError, "repeated sample names: 1 (first: 'S1')"),
        (frame().rename(columns={"MYC": np.nan}), NamesError, "gene number 2"),
        (frame().rename(index={"S3": ""}), NamesError, "sample number 3"),
        (frame()[[]], CountsError, "no genes"),
        (frame().iloc[:0], CountsError, "no samples"),
    ],
)
def test_a_bad_dataframe_is_refused_by_name(given, error, message):
    """Words among numbers, gaps, repeated and empty names."""
    with pytest.raises(error) as caught:
        as_counts(given)
    assert message in str(caught.value)


def test_an_anndata_with_counts_in_x_is_returned_itself():
    """Nothing to do, nothing copied."""
    given = adata()
    assert as_counts(given) is given


def test_the_counts_layer_comes_before_x_and_an_option_before_both():
    """`layer="X"` means X even where a counts layer is."""
    given = adata(COUNTS / 10, counts=COUNTS, doubled=2 * COUNTS)
    check(as_counts(given))
    assert np.shares_memory(as_counts(given).X, given.layers["counts"])
    assert np.array_equal(as_counts(given, layer="doubled").X, 2 * COUNTS)
    assert np.array_equal(as_counts(adata(COUNTS, counts=2 * COUNTS), layer="X").X, COUNTS)
    assert given.X[0, 0] == 0.1


def test_an_unknown_layer_is_refused_with_those_there_are():
    """The message lists X and the layers."""
    with pytest.raises(ConfigError, match="no layer 'raw'; there is 'X', 'counts'"):
        as_counts(adata(counts=COUNTS), layer="raw")


def test_labels_survive_and_the_given_object_is_not_modified():
    """Rounding makes a new AnnData with the same labels."""
    given = adata(COUNTS + 0.25)
    before = given.copy()
    result = as_counts(given, round_counts=True)
    check(result)
    assert result.obs.tissue.tolist() == ["a", "b", "c"]
    assert result.var.id.tolist() == [7157, 4609]
    assert np.array_equal(given.X, before.X)
    assert given.obs.equals(before.obs)


def test_a_view_becomes_a_plain_copy():
    """Its labels can be changed without AnnData's warning, and the parent stays."""
    given = adata()
    result = as_counts(given[:2])
    check(result, COUNTS[:2])
    assert not result.is_view
    result.obs["new"] = 1
    assert "new" not in given.obs


def test_backed_data_are_read(tmp_path):
    """A file-backed AnnData gives the same counts."""
    import anndata

    adata().write_h5ad(tmp_path / "x.h5ad")
    backed = anndata.read_h5ad(tmp_path / "x.h5ad", backed="r")
    check(as_counts(backed))
    backed.file.close()


def test_an_anndata_without_counts_is_refused():
    """X may be absent."""
    with pytest.raises(CountsError, match="no X; put raw counts there"):
        as_counts(AnnData(obs=pd.DataFrame(index=SAMPLES), var=pd.DataFrame(index=GENES)))


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        (COUNTS, {"genes": GENES}, NamesError, "pass sample_names"),
        (COUNTS, {"sample_names": SAMPLES}, NamesError, r"pass genes=\[...\], one for each column"),
        (
            COUNTS,
            {"sample_names": SAMPLES, "genes": GENES, "layer": "X"},
            ConfigError,
            "only AnnData has layers",
        ),
        (frame(), {"genes": GENES}, ConfigError, "DataFrame bears its own names"),
        (adata(), {"sample_names": SAMPLES}, ConfigError, "AnnData bears its own names"),
        (frame(), {"layer": "counts"}, ConfigError, "only AnnData has layers, got DataFrame"),
        ([[1, 2]], {}, TypeError, "counts are a list; give AnnData"),
    ],
)
def test_options_that_do_not_fit_are_refused(data, options, error, message):
    """Names belong to arrays, layers to AnnData."""
    with pytest.raises(error, match=message):
        as_counts(data, **options)
