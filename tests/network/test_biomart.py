"""BioMart's questions and answers, over real HTTP on this machine."""

from urllib.parse import parse_qs
from xml.etree import ElementTree as ET

import pytest

from pydgd.data import GeneTable
from pydgd.data.biomart import ATTRIBUTES, GeneQuery, fetch_genes
from pydgd.data.download import Downloads
from pydgd.errors import ConfigError, DownloadError, FileFormatError

PATH = "/biomart/martservice"
QUERY = GeneQuery(attributes=["ensembl_gene_id", "external_gene_name", "external_synonym", "entrezgene_id"])
ANSWER = (
    b"ENSG00000141510\tTP53\tp53\t7157\n"
    b"ENSG00000141510\tTP53\tLFS1\t7157\n"
    b"ENSG00000169429\tCXCL8\tIL8\t3576\n"
)


@pytest.fixture
def biomart(server) -> str:
    server.files[PATH] = ANSWER + b"[success]\n"
    return server.url + PATH


def test_answer_is_a_table_that_names_genes(biomart: str, downloads: Downloads) -> None:
    table = fetch_genes(QUERY, server=biomart, downloads=downloads)
    assert table.iloc[1].tolist() == ["ENSG00000141510", "TP53", "LFS1", "7157"]
    assert GeneTable.from_frame(table).names("symbol") == ["TP53", "CXCL8"]


def test_question_has_dataset_filters_and_attributes(server, biomart: str, downloads: Downloads) -> None:
    server.files[PATH] = b"ENSMUSG00000059552\tTrp53\n[success]\n"
    fetch_genes(
        GeneQuery(
            "mmusculus_gene_ensembl", ["mgi_symbol"], {"biotype": ["lncRNA", "miRNA"], "with_mgi": ["only"]}
        ),
        server=biomart,
        downloads=downloads,
    )
    query = ET.fromstring(parse_qs(server.forms[0].decode())["query"][0].partition("<!DOCTYPE Query>")[2])
    dataset = query.find("Dataset")
    assert dataset.get("name") == "mmusculus_gene_ensembl"
    assert [dict(node.attrib) for node in dataset.findall("Filter")] == [
        {"name": "biotype", "value": "lncRNA,miRNA"},
        {"name": "with_mgi", "excluded": "0"},
    ]
    assert [node.get("name") for node in dataset.findall("Attribute")] == ["ensembl_gene_id", "mgi_symbol"]


def test_question_by_default_is_for_all_kinds_of_names() -> None:
    query = GeneQuery()
    assert set(query.filters) == {"biotype", "transcript_biotype"}
    for species, attributes in ATTRIBUTES.items():
        assert len(set(attributes)) == len(attributes), species
        assert {"ensembl_gene_id", "external_gene_name", "external_synonym", "entrezgene_id"} <= set(
            attributes
        )


def test_same_question_is_asked_once(server, biomart: str, downloads: Downloads) -> None:
    for _ in range(2):
        fetch_genes(QUERY, server=biomart, downloads=downloads)
    server.files[PATH] = b"ENSG00000141510\ttumor protein p53\n[success]\n"
    fetch_genes(GeneQuery(attributes=["description"]), server=biomart, downloads=downloads)
    assert server.n_asked(PATH) == 2


@pytest.mark.parametrize("fault", ["short 50", "page", "503", "cut 20"])
def test_incomplete_answer_is_asked_for_again(server, biomart: str, downloads: Downloads, fault: str) -> None:
    server.faults[PATH] = [fault]
    assert len(fetch_genes(QUERY, server=biomart, downloads=downloads)) == 3


def test_answer_that_stays_incomplete_is_an_error(server, downloads: Downloads) -> None:
    server.files[PATH] = ANSWER
    with pytest.raises(DownloadError, match="an answer that breaks off"):
        fetch_genes(QUERY, server=server.url + PATH, downloads=downloads)


def test_answer_with_other_columns_is_an_error(biomart: str, downloads: Downloads) -> None:
    with pytest.raises(FileFormatError, match="a line has more fields than the header"):
        fetch_genes(GeneQuery(attributes=["description"]), server=biomart, downloads=downloads)


def test_refusal_is_an_error_that_quotes_it(server, downloads: Downloads) -> None:
    server.files[PATH] = b"Query ERROR: caught BioMart::Exception::Usage: Attribute hgnc NOT FOUND"
    with pytest.raises(ConfigError, match="Attribute hgnc NOT FOUND"):
        fetch_genes(QUERY, server=server.url + PATH, downloads=downloads)
    assert server.n_asked(PATH) == 1
