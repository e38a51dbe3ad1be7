# SPDX-License-Identifier: BSD-3-Clause
"""Which side is genes."""

import re

import pytest

from pydgd.data.orientation import anndata_is_turned, genes_in_rows
from pydgd.errors import ConfigError

SYMBOLS = ["TP53", "MYC", "EGFR"]
ENSEMBL = [f"ENSG{i:011d}.1" for i in range(30)]
PLAIN = ["alpha", "beta", "gamma"]


@pytest.mark.parametrize(
    ("genes", "samples", "label", "reason"),
    [
        (SYMBOLS, PLAIN, "", "look like gene symbols"),
        (ENSEMBL, PLAIN, "", "human Ensembl ids with version"),
        (SYMBOLS, ["S1", "S2"], "sample", "look like gene symbols"),
        (["gene_1", "gene_2"], PLAIN, "", "names"),
        (PLAIN, ["SRR1039508", "SRR1039509"], "", "look like samples (e.g. 'SRR1039508')"),
        (PLAIN, ["TCGA-A1-01A", "TCGA-A2-11B"], "", "look like samples"),
        (PLAIN, ["GTEX-111-SM-1"], "", "look like samples"),
        (PLAIN, ["patient 7", "Tumor_12"], "", "look like samples"),
        ([f"id{i}" for i in range(2000)], [f"x{i}" for i in range(400)], "", "there are 2,000"),
    ],
)
@pytest.mark.parametrize("in_rows", [True, False])
def test_names_header_and_shape_decide(genes, samples, label, reason, in_rows):
    """Both ways round, with the reason in words; names outweigh a wrong header."""
    rows, columns = (genes, samples) if in_rows else (samples, genes)
    turned, why = genes_in_rows(rows, columns, label=label)
    assert turned is in_rows
    assert reason in why


@pytest.mark.parametrize(
    ("label", "turned"),
    [("gene", True), ("Gene ID", True), ("Geneid", True), ("sample", False), ("Sample-ID", False)],
)
def test_the_header_of_the_first_column_decides_between_unknown_names(label, turned):
    """Spelling apart."""
    assert genes_in_rows(PLAIN, ["x", "y"], label=label) == (turned, f"the first column is called {label!r}")


@pytest.mark.parametrize(
    ("rows", "columns"),
    [
        (PLAIN, ["x", "y"]),
        (SYMBOLS, ["KRAS", "BRAF", "PTEN"]),
        (["S1", "S2"], ["T1", "T2"]),
        (["7157", "1956"], ["1", "2"]),
        ([f"id{i}" for i in range(1999)], ["x"]),
        ([f"id{i}" for i in range(2000)], [f"x{i}" for i in range(401)]),
    ],
)
def test_without_evidence_the_user_is_asked(rows, columns):
    """Also where it speaks for both sides; a panel of few genes is not mistaken for samples."""
    with pytest.raises(ConfigError, match=re.escape("--orient samples or --orient genes")) as caught:
        genes_in_rows(rows, columns)
    assert repr(rows[0]) in str(caught.value)
    assert repr(columns[0]) in str(caught.value)


@pytest.mark.parametrize(("orient", "turned"), [("genes", True), ("samples", False)])
def test_the_user_has_the_last_word(orient, turned):
    """Even against the names."""
    assert genes_in_rows(SYMBOLS, PLAIN, orient=orient)[0] is turned
    assert genes_in_rows(PLAIN, SYMBOLS, orient=orient)[0] is turned


def test_an_unknown_orientation_is_refused():
    """With those there are."""
    with pytest.raises(ConfigError, match="orient is 'rows'; give one of auto, samples, genes"):
        genes_in_rows(SYMBOLS, PLAIN, orient="rows")


@pytest.mark.parametrize(
    ("obs_names", "var_names", "turned"),
    [(SYMBOLS, PLAIN, True), (PLAIN, SYMBOLS, False), (SYMBOLS, SYMBOLS, False), (PLAIN, PLAIN, False)],
)
def test_only_clear_gene_names_turn_an_anndata(obs_names, var_names, turned):
    """Both sides genes, or none: the file's own order stands."""
    assert anndata_is_turned(obs_names, var_names, orient="auto")[0] == turned
    assert anndata_is_turned(obs_names, var_names, orient="genes")[0]


def test_the_genes_of_a_model_decide_first():
    """Names that say nothing, or look like samples, are genes if the model knows them, version or not."""
    model = frozenset({"S1", "S2", "S3"})
    assert genes_in_rows(["S1", "S2", "S3"], ["TP53", "MYC", "EGFR"], genes=model) == (
        True,
        "3 of the row names are genes of the model",
    )
    assert not genes_in_rows(PLAIN, [name.split(".")[0] for name in ENSEMBL], genes=frozenset(ENSEMBL))[0]
    assert anndata_is_turned(["S1", "S2"], PLAIN, orient="auto", genes=model)[0]
    assert genes_in_rows(SYMBOLS, PLAIN, genes=frozenset({"none of them"}))[0]


@pytest.mark.parametrize("find", [genes_in_rows, anndata_is_turned])
def test_a_wrong_orientation_is_not_believed(find):
    """A model's genes or Ensembl ids leave no doubt; symbols do: cell lines look like them."""
    with pytest.raises(
        ConfigError, match=r"orient is 'samples', but the row names look like human Ensembl .*--orient genes"
    ):
        find(ENSEMBL, PLAIN, orient="samples")
    with pytest.raises(ConfigError, match=r"orient is 'genes', but 3 of the column names .*--orient samples"):
        find(SYMBOLS, PLAIN, orient="genes", genes=frozenset(PLAIN))
    assert find(PLAIN, SYMBOLS, orient="genes")[0]
    assert find(ENSEMBL, ENSEMBL, orient="genes")[0]
