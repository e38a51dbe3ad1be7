"""Kinds of names, and species."""

from pathlib import Path

import anndata
import pytest

from pydgd.data.gene_kinds import name_kind, plain_id, species_of


@pytest.mark.parametrize(
    ("name", "kind", "plain"),
    [
        ("ENSG00000141510", "ensembl", "ENSG00000141510"),
        ("ENSG00000141510.17", "ensembl", "ENSG00000141510"),
        ("ENSG00000002586.19_PAR_Y", "ensembl", "ENSG00000002586"),
        ("ENSMUSG00000059552.13", "ensembl", "ENSMUSG00000059552"),
        ("7157", "entrez", "7157"),
        ("HLA-DRB1", "symbol", "HLA-DRB1"),
        ("RP11-1.2", "symbol", "RP11-1.2"),
        ("ENST00000269305", "symbol", "ENST00000269305"),
    ],
)
def test_kind_and_plain_id(name: str, kind: str, plain: str) -> None:
    assert name_kind(name) == kind
    assert plain_id(name) == plain


def test_species_of_real_data(shared: Path) -> None:
    for name in ("normals", "airway", "heart_muscle"):
        assert (
            species_of(anndata.read_h5ad(shared / "data" / f"{name}.h5ad", backed="r").var_names) == "human"
        )


def test_species_that_names_do_not_tell() -> None:
    assert species_of([]) is None
    assert species_of(["7157", "1956", "4609"]) is None
    assert species_of(["ENSDARG00000000001"] * 3) is None
