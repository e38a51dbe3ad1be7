# SPDX-License-Identifier: BSD-3-Clause
"""What the error says when counts and model share too few genes."""

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from pydgd.data.align import align_to_genes
from pydgd.data.genes import strip_version
from pydgd.data.readers import read_counts
from pydgd.errors import GeneMismatchError

SYMBOLS = ["TP53", "MYC", "EGFR", "KRAS", "GAPDH", "ACTB"]
ENSEMBL = [f"ENSG{i:011d}" for i in range(6)]
VERSIONED = [f"{name}.{i}" for i, name in enumerate(ENSEMBL)]


def message_of(adata, genes):
    with pytest.raises(GeneMismatchError) as caught:
        align_to_genes(adata, genes)
    return str(caught.value)


def data(genes, samples=("S1", "S2"), **var):
    return AnnData(
        np.ones((len(samples), len(genes))),
        obs=pd.DataFrame(index=list(samples)),
        var=pd.DataFrame(var, index=list(genes)),
    )


def test_kinds_of_ids_are_compared():
    """Both sides in words, with what is lacking and a general repair where none is found."""
    message = message_of(data(VERSIONED), SYMBOLS)
    assert "have 0 of the model's 6 genes; 50% are needed (lacking e.g. TP53, MYC, EGFR)" in message
    assert "model's genes look like gene symbols (e.g. 'TP53')" in message
    assert "those of the counts like human Ensembl ids with version (e.g. 'ENSG00000000000.0')" in message
    assert "Give counts whose genes bear names of the model's kind" in message


@pytest.mark.parametrize(
    ("adata", "genes", "repair"),
    [
        (
            data(VERSIONED),
            ENSEMBL,
            "100% of the model's genes match without version: adata.var_names = pydgd.data",
        ),
        (data(ENSEMBL), VERSIONED, "match if versions are ignored, but the model's genes bear versions too"),
        (data([f"{name}.99" for name in ENSEMBL]), VERSIONED, "match if versions are ignored"),
        (data(SYMBOLS, ensembl_id=ENSEMBL), ENSEMBL, "100% of the model's genes are in var['ensembl_id']"),
        (data(SYMBOLS, ids=VERSIONED), ENSEMBL, "are in var['ids'] once versions are stripped there"),
        (
            data(VERSIONED, n=1, **{"a{}b": [*SYMBOLS[:4], None, None]}),
            SYMBOLS,
            "67% of the model's genes are in var['a{}b']",
        ),
        (
            data(["S1", "S2"], samples=SYMBOLS),
            SYMBOLS,
            "the table looks transposed; read it with --orient genes",
        ),
        (
            data([name.capitalize() for name in SYMBOLS]),
            SYMBOLS,
            "match if capitals are ignored, as between mouse",
        ),
    ],
)
def test_the_repair_that_would_work_is_named_with_its_share(adata, genes, repair):
    """Versions, another column of var, a turned table, capitals: each is tried before it is proposed."""
    assert repair in message_of(adata, genes)


def test_real_ids_of_two_pipelines(shared):
    """Versioned Ensembl ids against symbols, and against bare Ensembl ids."""
    heart = read_counts(shared / "data" / "heart_muscle.h5ad")
    symbols = anndata.read_h5ad(shared / "data" / "normals.h5ad", backed="r")
    message = message_of(heart, symbols.var_names)
    assert "have 0 of the model's 20,242 genes" in message
    assert "model's genes look like gene symbols (e.g. 'SIGLEC14')" in message
    assert "counts like human Ensembl ids with version (e.g. 'ENSG00000000003.14')" in message
    message = message_of(heart, read_counts(shared / "data" / "airway.h5ad").var_names)
    assert (
        "% of the model's genes match without version: adata.var_names = pydgd.data.strip_version" in message
    )
    heart.var_names = strip_version(heart.var_names)
    ids = symbols.var["ensembl_id"]
    known = ids[ids.str.startswith("ENSG") & ~ids.duplicated()]
    assert align_to_genes(heart, known).measured.mean() > 0.9
    symbols.file.close()


def test_symbols_with_ids_in_var_get_the_column(shared):
    """The real `ensembl_id` column of the normals is found."""
    normals = read_counts(shared / "data" / "normals.h5ad")
    ids = normals.var["ensembl_id"]
    message = message_of(normals, ids[ids.str.startswith("ENSG") & ~ids.duplicated()])
    assert (
        "100% of the model's genes are in var['ensembl_id']: adata.var_names = adata.var['ensembl_id']"
        in message
    )
