"""Counts under other names of their genes: what is matched, lost, ambiguous."""

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from pydgd.data import GeneTable, count_rows, map_genes, validate_counts
from pydgd.data.gene_mapping import map_rows
from pydgd.errors import ConfigError, GeneMismatchError, NamesError

TABLE = GeneTable.from_frame(
    pd.DataFrame(
        [
            ("ENSG00000141510", "TP53", "7157", "P53"),
            ("ENSG00000169429", "CXCL8", "3576", "IL8"),
            ("ENSG00000002586", "CD99", "4267", "MIC2"),
            # One symbol, two copies of the gene.
            ("ENSG00000206503", "HLA-A", "3105", ""),
            ("ENSG00000227715", "HLA-A", "3105", ""),
            # SEPT2 was the name of two genes; MARCH1 is the present one of none.
            ("ENSG00000168385", "SEPTIN2", "4735", "SEPT2|NEDD5"),
            ("ENSG00000186522", "SEPTIN10", "151011", "SEPT2"),
            # AAA once was the name of BBB, and is now another gene's.
            ("ENSG00000000101", "AAA1", "101", ""),
            ("ENSG00000000102", "BBB1", "102", "AAA1"),
        ],
        columns=["ensembl_gene_id", "symbol", "entrez_id", "prev_symbol"],
    )
)


def counts(*genes: str, matrix: object = None) -> AnnData:
    """One sample with 1, 2, 4, 8 … reads: every sum shows which genes are in it."""
    reads = 2 ** np.arange(len(genes), dtype=np.int32)[None] if matrix is None else matrix
    return AnnData(reads, obs=pd.DataFrame(index=["S1"]), var=pd.DataFrame(index=list(genes)))


def mapped(*genes: str, to: object, **options: object) -> dict[str, int]:
    adata, _ = map_genes(counts(*genes), to=to, **options)
    return adata.to_df().iloc[0].to_dict()


@pytest.mark.parametrize(
    ("gene", "wanted"),
    [
        ("ENSG00000141510.17", "ENSG00000141510"),
        ("ENSG00000141510", "ENSG00000141510.4"),
        ("ENSG00000141510.17", "ENSG00000141510.18"),
        ("ENSG00000141510.17", "TP53"),
        ("ENSG00000141510", "7157"),
        ("TP53", "ENSG00000141510"),
        ("TP53", "ENSG00000141510.3"),
        ("7157", "TP53"),
        ("IL8", "CXCL8"),
        ("CXCL8", "IL8"),
        ("IL8", "ENSG00000169429"),
        ("ENSG00000169429.3", "IL8"),
        ("C1ORF112", "C1orf112"),
        ("ENSG00000002586.18_PAR_Y", "CD99"),
        ("ENSG00000002586.18_PAR_Y", "ENSG00000002586"),
    ],
)
def test_names_of_one_gene_find_each_other(gene: str, wanted: str) -> None:
    assert mapped(gene, to=[wanted], table=TABLE) == {wanted: 1}


def test_order_is_that_of_the_wanted_and_nothing_is_made_up() -> None:
    adata, report = map_genes(counts("MYC", "IL8", "TP53"), to=["TP53", "EGFR", "CXCL8"], table=TABLE)
    assert adata.to_df().iloc[0].to_dict() == {"TP53": 4, "CXCL8": 2}
    assert report.missing == ("EGFR",)
    assert report.table["status"].tolist() == ["lost", "matched", "matched"]
    assert adata.var["source_genes"].tolist() == ["TP53", "IL8"]


def test_copies_on_y_are_added_unless_they_are_wanted_apart() -> None:
    genes = ("ENSG00000002586.18", "ENSG00000002586.18_PAR_Y")
    assert mapped(*genes, to=["ENSG00000002586"]) == {"ENSG00000002586": 3}
    assert mapped(*genes, to=["ENSG00000002586.18_PAR_Y", "ENSG00000002586.18"]) == {
        "ENSG00000002586.18_PAR_Y": 2,
        "ENSG00000002586.18": 1,
    }


def test_genes_that_are_one_are_summed_or_refused() -> None:
    genes = ("ENSG00000206503.1", "ENSG00000141510", "ENSG00000227715.1")
    assert mapped(*genes, to=["TP53", "HLA-A"], table=TABLE) == {"TP53": 2, "HLA-A": 5}
    with pytest.raises(NamesError, match=r"HLA-A: ENSG00000206503\.1, ENSG00000227715.1"):
        mapped(*genes, to=["TP53", "HLA-A"], table=TABLE, duplicates="refuse")


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_sums_of_small_integers_do_not_overflow(form: object, dtype: type) -> None:
    most = np.iinfo(dtype).max
    reads = np.array([[most, most]], dtype=dtype)
    data = counts("ENSG00000141510.1", "ENSG00000141510.2", matrix=form(reads))
    adata, _ = map_genes(data, to=["TP53"], table=TABLE)
    assert adata.X.sum() == 2 * int(most)
    renamed, _ = map_rows(count_rows(data), to=["TP53"], table=TABLE)
    assert renamed.read(0, 1).X.sum() == 2 * int(most)


def test_one_name_of_several_wanted_genes_is_ambiguous() -> None:
    adata, report = map_genes(
        counts("HLA-A", "TP53"), to=["ENSG00000206503", "ENSG00000227715", "ENSG00000141510"], table=TABLE
    )
    assert adata.var_names.tolist() == ["ENSG00000141510"]
    assert report.n_ambiguous == 1
    assert report.table["candidates"][0] == "ENSG00000206503|ENSG00000227715"


def test_previous_name_of_several_genes_decides_nothing() -> None:
    adata, report = map_genes(counts("SEPT2", "TP53"), to=["SEPTIN2", "TP53"], table=TABLE)
    assert adata.var_names.tolist() == ["TP53"]
    assert report.table.loc[0, ["status", "candidates"]].tolist() == ["ambiguous", "SEPTIN10|SEPTIN2"]
    adata, report = map_genes(counts("SEPTIN2", "SEPTIN10", "TP53"), to=["SEPT2", "TP53"], table=TABLE)
    assert adata.var_names.tolist() == ["TP53"]
    assert report.n_ambiguous == 2


def test_present_name_goes_before_a_previous_one() -> None:
    """BBB1 once was AAA1; where the data have both, the reads of BBB1 are not those of AAA1."""
    adata, report = map_genes(counts("AAA1", "BBB1", "TP53"), to=["AAA1", "TP53"], table=TABLE)
    assert adata.to_df().iloc[0].to_dict() == {"AAA1": 1, "TP53": 4}
    assert report.table["status"].tolist() == ["matched", "lost", "matched"]
    assert mapped("IL8", "CXCL8", to=["CXCL8"], table=TABLE) == {"CXCL8": 2}


def test_kind_of_names_as_the_goal() -> None:
    genes = ("ENSG00000141510.17", "IL8", "ENSG00000999999.2")
    assert mapped(*genes, to="symbol", table=TABLE) == {"TP53": 1, "CXCL8": 2}
    assert mapped(*genes, to="ensembl", table=TABLE) == {
        "ENSG00000141510": 1,
        "ENSG00000169429": 2,
        "ENSG00000999999": 4,
    }
    assert mapped(*genes, to="entrez", table=TABLE) == {"7157": 1, "3576": 2}


def test_var_of_either_side_serves_as_table() -> None:
    data = counts("ENSG00000141510.17")
    data.var["gene_name"] = ["TP53"]
    assert map_genes(data, to=["TP53"])[0].var_names.tolist() == ["TP53"]
    training = counts("TP53")
    training.var["ensembl_id"] = ["ENSG00000141510"]
    assert map_genes(counts("ENSG00000141510.17"), to=training)[0].var_names.tolist() == ["TP53"]


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
def test_every_form_gives_the_same_and_stays_as_it_is(form: object) -> None:
    genes = ("ENSG00000206503.1", "MYC", "ENSG00000141510", "ENSG00000227715.1")
    matrix = form(np.array([[1, 2, 4, 8], [0, 3, 0, 5]], dtype=np.int32))
    data = AnnData(matrix, obs=pd.DataFrame(index=["S1", "S2"]), var=pd.DataFrame(index=list(genes)))
    adata, report = map_genes(data, to=["TP53", "HLA-A"], table=TABLE)
    dense = adata.X.toarray() if sparse.issparse(adata.X) else adata.X
    assert dense.tolist() == [[4, 9], [0, 5]]
    assert adata.X.dtype == np.int32
    assert getattr(adata.X, "format", "dense") == getattr(matrix, "format", "dense")
    assert report.table["reads"].tolist() == [1, 5, 4, 13]
    validate_counts(adata.X, adata.obs_names, adata.var_names)


def test_rows_on_disk_are_renamed_as_they_are_read(tmp_path: Path) -> None:
    genes = ["ENSG00000206503.1", "MYC", "ENSG00000141510", "ENSG00000227715.1"]
    data = AnnData(np.arange(1, 13, dtype=np.int32).reshape(3, 4), var=pd.DataFrame(index=genes))
    data.obs_names = ["S1", "S2", "S3"]
    data.obs["tissue"] = ["a", "b", "a"]
    data.write_h5ad(tmp_path / "counts.h5ad")
    whole, report = map_genes(data, to=["TP53", "HLA-A"], table=TABLE)
    backed = anndata.read_h5ad(tmp_path / "counts.h5ad", backed="r")
    rows, of_rows = map_rows(count_rows(backed), to=["TP53", "HLA-A"], table=TABLE)
    assert rows.read(0, 3).to_df().equals(whole.to_df())
    assert rows.where("tissue=a").read(1, 2).to_df().equals(whole[2:3].to_df())
    pd.testing.assert_frame_equal(report.table, of_rows.table)
    backed.file.close()


def test_everything_else_of_the_samples_stays() -> None:
    data = counts("TP53", "MYC")
    data.obs["tissue"] = "liver"
    data.obsm["X_pca"] = np.ones((1, 2))
    data.layers["counts"] = np.array([[7, 8]])
    adata, _ = map_genes(data, to=["TP53"], layer="counts")
    assert adata.obs["tissue"].tolist() == ["liver"]
    assert adata.obsm["X_pca"].shape == (1, 2)
    assert adata.X.tolist() == [[7]]


def test_mouse_is_not_taken_for_human() -> None:
    with pytest.raises(GeneMismatchError, match=r"of mouse .* of human"):
        map_genes(counts("Trp53", "Actb", "Gapdh"), to=["TP53", "ACTB", "GAPDH"], table=TABLE)
    with pytest.raises(GeneMismatchError, match="train one for mouse"):
        map_genes(counts("ENSMUSG00000059552.13"), to=["TP53", "ACTB", "GAPDH"])


def test_nothing_in_common_says_what_to_do() -> None:
    with pytest.raises(GeneMismatchError, match=r"none of the 1 genes.*give a table that holds both kinds"):
        map_genes(counts("ENSG00000141510"), to=["TP53", "EGFR"])
    with pytest.raises(GeneMismatchError, match="connects none of them"):
        map_genes(counts("ENSG00000999999"), to=["MYC", "EGFR"], table=TABLE)


def test_options_are_checked() -> None:
    with pytest.raises(ConfigError, match="duplicates is 'mean'"):
        mapped("TP53", to=["TP53"], duplicates="mean")
    with pytest.raises(ConfigError, match="to is 'refseq'"):
        mapped("TP53", to="refseq")
    with pytest.raises(ConfigError, match="no layer 'raw'"):
        mapped("TP53", to=["TP53"], layer="raw")


def test_report_in_words_and_numbers() -> None:
    _, report = map_genes(
        counts("ENSG00000206503", "MYC", "ENSG00000227715"), to=["HLA-A", "EGFR"], table=TABLE
    )
    assert "1 of 2 genes matched (1 of them from 2 genes, summed), with 71.4% of the reads" in str(report)
    assert "1 genes of the data lost, 0 ambiguous" in str(report)
    assert report.counts()["genes"].sum() == 3
    assert report.share_of_reads == pytest.approx(5 / 7)


def test_permuting_genes_changes_nothing() -> None:
    genes = ["ENSG00000206503.1", "MYC", "ENSG00000141510", "ENSG00000227715.1", "IL8"]
    data = counts(*genes)
    expected, _ = map_genes(data, to=["TP53", "HLA-A", "CXCL8"], table=TABLE)
    for order in ([4, 3, 2, 1, 0], [2, 0, 4, 3, 1]):
        found, _ = map_genes(data[:, order].copy(), to=["TP53", "HLA-A", "CXCL8"], table=TABLE)
        assert found.to_df().equals(expected.to_df())


def test_heart_and_muscle_against_the_genes_of_normals(shared: Path) -> None:
    """Versioned ids of all genes against HUGO symbols, by the training data's `var`."""
    normals = anndata.read_h5ad(shared / "data" / "normals.h5ad", backed="r")
    wanted = AnnData(var=normals.var)
    normals.file.close()
    adata, report = map_genes(anndata.read_h5ad(shared / "data" / "heart_muscle.h5ad"), to=wanted)
    assert report.n_matched >= 18_000
    assert adata.n_vars == report.n_matched
    assert len(report.missing) == wanted.n_vars - report.n_matched
