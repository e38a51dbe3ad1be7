# SPDX-License-Identifier: BSD-3-Clause
"""Kinds of gene identifiers."""

import anndata
import pytest

from pydgd.data.genes import GENE_ID_TYPES, describe_ids, gene_id_type, strip_version


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["ENSG00000141510", "ENSG00000146648"], "ensembl_human"),
        (["ENSG00000141510.17", "ENSG00000002586.19_PAR_Y", "ERCC-00002"], "ensembl_human_versioned"),
        (["ENSMUSG00000059552"], "ensembl_mouse"),
        (["ENSMUSG00000059552.14"], "ensembl_mouse_versioned"),
        (["7157", "1956"], "entrez"),
        (["TP53"], "symbol"),
        (["Trp53", "Actb", "Gapdh", "Myc"], "symbol"),
        (["S1", "S2", "S3"], "unknown"),
        ([f"SRR{i}" for i in range(1039508, 1039608)], "unknown"),
        ([f"GTEX-{i:04d}-SM" for i in range(40)], "unknown"),
        (["ENSG00000141510", "7157"], "unknown"),
        ([], "unknown"),
    ],
)
def test_the_kind_is_what_most_names_are(names, kind):
    """Exactly half is not most; names of samples are no symbols."""
    assert gene_id_type(names) == kind


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("normals.h5ad", "symbol"),
        ("heart_muscle.h5ad", "ensembl_human_versioned"),
        ("airway.h5ad", "ensembl_human"),
    ],
)
def test_real_names_are_recognised(shared, file, kind):
    """Genes of three pipelines are recognised, their samples are not taken for genes."""
    data = anndata.read_h5ad(shared / "data" / file, backed="r")
    assert gene_id_type(data.var_names) == kind
    assert gene_id_type(data.obs_names) == "unknown"
    data.file.close()


def test_a_description_has_words_and_an_example():
    """Every kind has words."""
    assert describe_ids(["TP53"]) == "gene symbols (e.g. 'TP53')"
    assert describe_ids([]) == GENE_ID_TYPES["unknown"]


def test_versions_go_and_nothing_else_does():
    """Only Ensembl ids lose what follows the dot, and the two copies of a PAR gene stay two."""
    given = ["ENSG00000002586.19", "ENSG00000002586.19_PAR_Y", "ENSMUSG00000059552.1", "RP11-34P13.7", "7157"]
    bare = ["ENSG00000002586", "ENSG00000002586_PAR_Y", "ENSMUSG00000059552", "RP11-34P13.7", "7157"]
    assert strip_version(given) == bare
    assert strip_version(bare) == bare
