# SPDX-License-Identifier: BSD-3-Clause
"""Which samples and genes of some counts can be used, and that nothing is made up."""

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from pydgd.data import preprocess, read_counts
from pydgd.errors import ConfigError, CountsError, GeneMismatchError

GENES = ["TP53", "MYC", "EGFR", "KRAS"]
SAMPLES = ["S1", "S2", "empty", "S1 again", "elsewhere"]
COUNTS = np.array([[3, 0, 12, 5], [1, 2, 0, 0], [0, 0, 0, 0], [3, 0, 12, 9], [0, 0, 0, 7]])
WANTED = ["EGFR", "MISSING", "TP53", "MYC"]


def cohort(container=np.asarray):
    obs = pd.DataFrame({"tissue": list("abcde")}, index=SAMPLES)
    return AnnData(container(COUNTS), obs=obs, var=pd.DataFrame({"id": list("wxyz")}, index=GENES))


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
def test_genes_are_aligned_by_name_and_missing_ones_are_recorded(container):
    """In the order of the list; what was not measured is not there rather than 0."""
    found = preprocess(cohort(container), WANTED)
    assert found.counts.var_names.tolist() == ["EGFR", "TP53", "MYC"]
    assert found.counts.var["id"].tolist() == ["y", "w", "x"]
    assert found.counts.obs["tissue"].tolist() == ["a", "b", "d"]
    matrix = found.counts.X
    assert sparse.issparse(matrix) == (container is sparse.csr_matrix)
    assert np.asarray(matrix.toarray() if sparse.issparse(matrix) else matrix).tolist() == [
        [12, 3, 0], [0, 1, 2], [12, 3, 0],
    ]  # fmt: skip
    assert found.genes["measured"].to_dict() == {"EGFR": True, "MISSING": False, "TP53": True, "MYC": True}
    assert found.counts.uns["dgd_genes"] is found.genes
    assert found.n_dropped_genes == 1


def test_samples_are_described_and_the_useless_dropped(caplog):
    """Also why; a twin is told and kept, unless asked otherwise."""
    found = preprocess(cohort(), WANTED)
    assert found.samples.to_dict("list") == {
        "sample": SAMPLES,
        "reads": [20, 3, 0, 24, 7],
        "reads_used": [15, 3, 0, 15, 0],
        "detected_genes": [2, 2, 0, 2, 0],
        "duplicate_of": ["", "", "", "S1", ""],
        "kept": [True, True, False, True, False],
        "reason": ["", "", "no reads", "", "no reads in the wanted genes"],
    }
    assert "1 samples have the same counts as an earlier one (first: S1 again, as S1)" in caplog.text
    assert "1 samples dropped: no reads (first: empty)" in caplog.text


@pytest.mark.parametrize(
    ("options", "kept", "reason"),
    [
        ({"drop_duplicates": True}, ["S1", "S2"], "same counts as an earlier sample"),
        ({"min_reads": 20}, ["S1", "S1 again"], "fewer than 20 reads"),
        ({"min_reads": 21}, ["S1 again"], "fewer than 21 reads"),
        ({"min_genes": 2}, ["S1", "S2", "S1 again"], "no reads"),
    ],
)
def test_thresholds_drop_samples_and_say_why(options, kept, reason):
    """A threshold itself is enough."""
    found = preprocess(cohort(), WANTED, **options)
    assert found.counts.obs_names.tolist() == kept
    assert reason in set(found.samples["reason"])


def test_without_a_list_all_genes_stay():
    """Only the samples are judged."""
    found = preprocess(cohort())
    assert found.counts.var_names.tolist() == GENES
    assert found.counts.obs_names.tolist() == ["S1", "S2", "S1 again", "elsewhere"]
    assert not (found.samples["duplicate_of"] != "").any()


def test_bad_requests_are_refused():
    """With the usual errors."""
    with pytest.raises(ConfigError, match="min_reads is -1"):
        preprocess(cohort(), min_reads=-1)
    with pytest.raises(CountsError, match=r"no sample is left of 5 \(first: 'S1', fewer than 99 reads\)"):
        preprocess(cohort(), min_reads=99)
    with pytest.raises(GeneMismatchError):
        preprocess(cohort(), ["ENSG00000141510", "ENSG00000136997"])


def test_samples_without_reads_can_be_read(tmp_path):
    """They are refused otherwise, since no model can place them."""
    cohort().write_h5ad(tmp_path / "x.h5ad")
    with pytest.raises(CountsError, match="1 of 5 samples have no reads"):
        read_counts(tmp_path / "x.h5ad")
    assert read_counts(tmp_path / "x.h5ad", empty_samples="keep").n_obs == 5
    with pytest.raises(ConfigError, match="give one of refuse, keep"):
        read_counts(tmp_path / "x.h5ad", empty_samples="drop")


def test_the_mask_survives_the_file(tmp_path):
    """As a table in uns."""
    preprocess(cohort(), WANTED).counts.write_h5ad(tmp_path / "x.h5ad")
    mask = anndata.read_h5ad(tmp_path / "x.h5ad").uns["dgd_genes"]
    assert mask["measured"].tolist() == [True, False, True, True]
    assert mask.index.tolist() == WANTED
