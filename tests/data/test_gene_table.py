"""Which names mean the same gene, from the files that users have."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from pydgd.data import GeneTable
from pydgd.errors import FileFormatError, NamesError

HGNC = """hgnc_id\tsymbol\tname\talias_symbol\tprev_symbol\tentrez_id\tensembl_gene_id
HGNC:11998\tTP53\ttumor protein p53\t"p53|LFS1"\t\t7157\tENSG00000141510
HGNC:6025\tCXCL8\tchemokine\t"SCYB8|LUCT"\t"IL8"\t3576\tENSG00000169429
HGNC:5\tA1BG\t\t\t\t1\t
"""
HGNC_CUSTOM = """HGNC ID\tApproved symbol\tPrevious symbols\tAlias symbols\tNCBI Gene ID\tEnsembl gene ID
HGNC:6025\tCXCL8\tIL8\tSCYB8, LUCT\t3576\tENSG00000169429
"""
BIOMART = """Gene stable ID,Gene stable ID version,Gene name,Gene Synonym,NCBI gene (formerly Entrezgene) ID
ENSG00000141510,ENSG00000141510.18,TP53,p53,7157
ENSG00000141510,ENSG00000141510.18,TP53,LFS1,7157
ENSG00000283440,ENSG00000283440.1,,,
"""
ATTRIBUTES = """ensembl_gene_id_version\texternal_gene_name\thgnc_symbol\tentrezgene_id
ENSG00000141510.18\tTP53\tTP53\t7157.0
ENSG00000169429.11\tIL8\tCXCL8\t3576.0
"""


def read(text: str, tmp_path: Path) -> pd.DataFrame:
    (tmp_path / "table.txt").write_text(text)
    return GeneTable.read(tmp_path / "table.txt").rows


def test_hgnc_export(tmp_path: Path) -> None:
    assert read(HGNC, tmp_path).to_numpy().tolist() == [
        ["ENSG00000141510", "TP53", "7157", "p53|LFS1"],
        ["ENSG00000169429", "CXCL8", "3576", "IL8|SCYB8|LUCT"],
        ["", "A1BG", "1", ""],
    ]


def test_hgnc_custom_download(tmp_path: Path) -> None:
    assert read(HGNC_CUSTOM, tmp_path).to_numpy().tolist() == [
        ["ENSG00000169429", "CXCL8", "3576", "IL8|SCYB8|LUCT"]
    ]


def test_biomart_export_has_a_row_per_synonym(tmp_path: Path) -> None:
    """A gene without any other name connects nothing and is left out."""
    assert read(BIOMART, tmp_path).to_numpy().tolist() == [
        ["ENSG00000141510", "TP53", "7157", "p53"],
        ["ENSG00000141510", "TP53", "7157", "LFS1"],
    ]


def test_approved_symbol_stands_before_others_which_become_previous(tmp_path: Path) -> None:
    assert read(ATTRIBUTES, tmp_path).to_numpy().tolist() == [
        ["ENSG00000141510", "TP53", "7157", ""],
        ["ENSG00000169429", "CXCL8", "3576", "IL8"],
    ]


def test_gzip_semicolons_and_byte_order_mark(tmp_path: Path) -> None:
    text = "\ufeffsymbol;entrez_id\nTP53;7157\nNA;1\n"
    (tmp_path / "table.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert len(GeneTable.read(tmp_path / "table.csv.gz")) == 1


@pytest.mark.parametrize(
    ("var", "row"),
    [
        (
            pd.DataFrame({"entrez_id": ["7157"], "ensembl_id": ["ENSG00000141510"]}, index=["TP53"]),
            ["ENSG00000141510", "TP53", "7157", ""],
        ),
        (
            pd.DataFrame({"gene_ids": ["ENSG00000141510.1"]}, index=["TP53"]),
            ["ENSG00000141510", "TP53", "", ""],
        ),
        (
            pd.DataFrame({"gene_name": ["TP53"]}, index=["ENSG00000141510.1"]),
            ["ENSG00000141510", "TP53", "", ""],
        ),
        (pd.DataFrame({"symbol": ["TP53"], "length": [9]}, index=["7157"]), ["", "TP53", "7157", ""]),
    ],
    ids=["symbols", "10x", "ensembl", "entrez"],
)
def test_var_beside_its_index(var: pd.DataFrame, row: list[str]) -> None:
    assert GeneTable.from_var(var).rows.to_numpy().tolist() == [row]
    assert GeneTable.from_var(AnnData(np.ones((1, 1)), var=var)).rows.to_numpy().tolist() == [row]


def test_h5ad_serves_as_table(tmp_path: Path) -> None:
    var = pd.DataFrame({"symbol": ["TP53", "EGFR"]}, index=["ENSG00000141510", "ENSG00000146648"])
    AnnData(np.ones((1, 2)), var=var).write_h5ad(tmp_path / "counts.h5ad")
    assert GeneTable.read(tmp_path / "counts.h5ad").names("symbol") == ["TP53", "EGFR"]


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        (b"", FileFormatError, "holds no table"),
        (b"symbol\tentrez_id\n", FileFormatError, "holds no table"),
        (b"length\tstrand\n3\t+\n", NamesError, "two kinds of names or more, found none"),
        (b"symbol\tlength\nTP53\t3\n", NamesError, "found symbol"),
        (b"symbol\tentrez_id\nTP53\t7157\t8\n", FileFormatError, "more fields than the header"),
        ("symbol\tentrez_id\nTP53\xe9\t7157\n".encode("latin-1"), FileFormatError, "not UTF-8"),
        (gzip.compress(HGNC.encode())[:60], FileFormatError, "truncated or damaged"),
        (b"\x89HDF\r\n\x1a\n and no more", FileFormatError, "truncated or damaged"),
    ],
    ids=["empty", "header", "no names", "one kind", "fields", "encoding", "cut", "hdf5"],
)
def test_broken_file_is_named(tmp_path: Path, body: bytes, error: type[Exception], says: str) -> None:
    (tmp_path / "table").write_bytes(body)
    with pytest.raises(error, match=says) as caught:
        GeneTable.read(tmp_path / "table")
    assert str(tmp_path / "table") in str(caught.value)


def test_what_unpacks_out_of_all_proportion_is_refused(tmp_path: Path) -> None:
    """200 kB of zeros, which are 200 MB."""
    (tmp_path / "table.gz").write_bytes(gzip.compress(b"0" * 2**21) * 100)
    with pytest.raises(FileFormatError, match=r"table.gz: unpacks to more than"):
        GeneTable.read(tmp_path / "table.gz")


def test_parquet_as_pydgd_genes_writes_it(tmp_path: Path) -> None:
    frame = pd.DataFrame({"ensembl_gene_id": ["ENSG00000121410"], "hgnc_symbol": ["A1BG"], "hgnc_id": [None]})
    frame.to_parquet(tmp_path / "genes.parquet", index=False)
    rows = GeneTable.read(tmp_path / "genes.parquet").rows
    assert rows[["ensembl", "symbol"]].to_numpy().tolist() == [["ENSG00000121410", "A1BG"]]
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "genes.parquet").read_bytes()[:-9])
    with pytest.raises(FileFormatError, match=r"cut.parquet: cannot be read as Parquet"):
        GeneTable.read(tmp_path / "cut.parquet")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="check the path"):
        GeneTable.read(tmp_path / "none.tsv")


def test_var_without_other_names_is_no_table() -> None:
    with pytest.raises(NamesError, match="no other names"):
        GeneTable.from_var(pd.DataFrame({"length": [1]}, index=["TP53"]))
