"""recount3 over real HTTP on this machine: its layout, and what can be wrong with its files."""

import gzip
import logging

import numpy as np
import pandas as pd
import pytest

from pydgd.data import validate_counts
from pydgd.data.download import Downloads
from pydgd.data.recount3 import Project, Request, fetch_files, fetch_recount3
from pydgd.errors import ConfigError, DownloadError, FileFormatError

SUMS = "/recount3/human/data_sources/gtex/gene_sums/ER/BLADDER/gtex.gene_sums.BLADDER.G029.gz"
QC = "/recount3/human/data_sources/gtex/metadata/ER/BLADDER/gtex.recount_qc.BLADDER.MD.gz"
OWN = "/recount3/human/data_sources/gtex/metadata/ER/BLADDER/gtex.gtex.BLADDER.MD.gz"


def test_reads_are_coverage_over_mapped_length(bladder: str, downloads: Downloads) -> None:
    """Rounded to even, as numpy and R do; the sample without mapped reads is left out."""
    adata = fetch_recount3("GTEx", "bladder", mirror=bladder, downloads=downloads)
    assert adata.to_df().to_numpy().tolist() == [[10, 20, 0], [2, 1, 0], [6_578_947, 0, 0]]
    assert adata.obs_names.tolist() == ["GTEX-A.1", "GTEX-B.1", "GTEX-C.1"]
    assert adata.X.dtype == np.int32
    validate_counts(adata.X, adata.obs_names, adata.var_names)


def test_samples_left_out_are_named(
    bladder: str, downloads: Downloads, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="pydgd"):
        fetch_recount3("gtex", "BLADDER", mirror=bladder, downloads=downloads)
    assert "1 sample without mapped reads left out (first: GTEX-D.1)" in caplog.text


def test_metadata_of_all_tables_come_along(bladder: str, downloads: Downloads) -> None:
    obs = fetch_recount3("gtex", "BLADDER", mirror=bladder, downloads=downloads).obs
    assert obs["gtex.smtsd"].tolist() == ["Bladder", "Bladder", 'Bladder "trigone']
    assert obs["recount_qc.star.average_mapped_length"].tolist() == [76.0, 150.0, 152.0]
    assert obs["recount_seq_qc.avg_len"].tolist() == [76, 76, 76]
    assert {"rail_id", "study", "gtex.smrin", "recount_project.project", "recount_pred.pred.type"} <= set(obs)


def test_where_it_comes_from_is_noted(bladder: str, downloads: Downloads) -> None:
    facts = fetch_recount3("gtex", "BLADDER", mirror=bladder, downloads=downloads).uns["recount3"]
    assert facts["annotation"] == "G029"
    assert facts["mirror"] == bladder
    assert len(facts["sha256"]["gene_sums"]) == 64


def test_coverage_can_be_kept_beside(bladder: str, downloads: Downloads) -> None:
    adata = fetch_recount3("gtex", "BLADDER", mirror=bladder, downloads=downloads, coverage=True)
    assert adata.layers["coverage"].max() == 10**9


@pytest.mark.parametrize(
    "query",
    [
        'gtex.smtsd == "Bladder" and gtex.smrin > 6',
        "SMTSD == 'Bladder' and SMRIN > 6",
        "`gtex.smrin` > 6",
        "smtsd.str.contains('adder') and smrin > 6",
        "gtex.smtsd.str.contains('adder') and smrin > 6",
        "gtex.smrin > 6 and star.average_mapped_length < 100",
    ],
)
def test_query_chooses_samples(bladder: str, downloads: Downloads, query: str) -> None:
    """With or without the table's name, in any capitals; only those samples are read."""
    adata = fetch_recount3("gtex", "BLADDER", mirror=bladder, downloads=downloads, query=query)
    assert adata.obs_names.tolist() == ["GTEX-A.1"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("gtex.smrin > 100", "none of the 4 samples"),
        ("gtex.nothing > 1", "cannot evaluate the query"),
        ("gtex.smrin >", "cannot evaluate the query"),
        ("@__import__('os').getcwd() == ''", "cannot evaluate the query"),
    ],
)
def test_bad_query_is_an_error(bladder: str, downloads: Downloads, query: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        fetch_recount3("gtex", "BLADDER", mirror=bladder, downloads=downloads, query=query)


def test_columns_are_kept_and_dropped(bladder: str, downloads: Downloads) -> None:
    request = Request(Project("gtex", "BLADDER"), keep=("smtsd", "gtex.smrin"), drop=("SMRIN",))
    (files,) = fetch_files([request], mirror=bladder, downloads=downloads)
    assert files.counts().obs.columns.tolist() == ["gtex.smtsd"]
    (files,) = fetch_files(
        [Request(Project("gtex", "BLADDER"), drop=("_all_",))], mirror=bladder, downloads=downloads
    )
    assert files.counts().obs.columns.tolist() == []
    (files,) = fetch_files(
        [Request(Project("gtex", "BLADDER"), keep=("smrim",))], mirror=bladder, downloads=downloads
    )
    with pytest.raises(ConfigError, match=r"no column 'smrim'"):
        files.counts()


def test_sra_attributes_become_columns(server, downloads: Downloads) -> None:
    server.add_project(
        "sra",
        "SRP009615",
        pd.DataFrame({"SRR1": [100], "SRR2": [200]}, index=["ENSG00000141510.16"]),
        lengths=[50.0, 50.0],
        metadata={"sample_attributes": ["source name;;liver|age;;34", "source name;;K562 cells"]},
        without=("recount_pred", "recount_seq_qc"),
    )
    adata = fetch_recount3(
        "sra", "SRP009615", mirror=f"{server.url}/recount3/", downloads=downloads, query="age == '34'"
    )
    assert adata.obs["sra_attribute.source_name"].tolist() == ["liver"]
    assert adata.to_df().to_numpy().tolist() == [[2]]


def test_other_annotations_and_mouse_have_their_own_files(server, downloads: Downloads) -> None:
    table = pd.DataFrame({"SRR1": [100]}, index=["ENSMUSG00000059552.13"])
    server.add_project(
        "sra", "SRP1", table, lengths=[50.0], metadata={"run": ["x"]}, code="M023", organism="mouse"
    )
    adata = fetch_recount3(
        "sra",
        "SRP1",
        annotation="gencode_v23",
        organism="mouse",
        mirror=f"{server.url}/recount3",
        downloads=downloads,
    )
    assert adata.var_names.tolist() == ["ENSMUSG00000059552.13"]
    with pytest.raises(DownloadError, match=r"SRP1\.G026\.gz: the server does not have it"):
        fetch_recount3(
            "sra",
            "SRP1",
            annotation="26",
            organism="mouse",
            mirror=f"{server.url}/recount3",
            downloads=downloads,
        )


def test_busy_server_slow_answers_and_broken_connections_are_overcome(
    server, bladder: str, downloads: Downloads
) -> None:
    server.faults |= {SUMS: ["503", "cut 40"], QC: ["page"], OWN: ["cut 10", "503"]}
    assert fetch_recount3("gtex", "BLADDER", mirror=bladder, downloads=downloads).shape == (3, 3)


def damaged(text: str) -> bytes:
    return gzip.compress(text.encode(), mtime=0)


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        (SUMS, damaged(""), "expected recount3's gene sums"),
        (SUMS, damaged("<html>moved</html>"), "expected recount3's gene sums"),
        (SUMS, damaged("##annotation=G029\ngene\tGTEX-A.1\nx\t1\n"), "expected recount3's gene sums"),
        (
            SUMS,
            damaged("##\ngene_id\tGTEX-A.1\tGTEX-B.1\tGTEX-C.1\tGTEX-D.1\nx\t1\t2\n"),
            "truncated or damaged",
        ),
        (SUMS, damaged("##\ngene_id\tGTEX-A.1\tGTEX-B.1\tGTEX-C.1\nx\t1\t2\t1.5\n"), "truncated or damaged"),
        (
            SUMS,
            damaged("##\ngene_id\tGTEX-A.1\tGTEX-B.1\nx\t1\t2\n"),
            "1 samples of the metadata have no gene sums",
        ),
        (QC, damaged(""), "no table of metadata"),
        (QC, damaged("rail_id\tsample\n1\tGTEX-A.1\n"), "the column external_id"),
        (
            QC,
            damaged("rail_id\texternal_id\tstudy\n1\tGTEX-A.1\tBLADDER\n"),
            "lacks the column star.average_mapped_length",
        ),
    ],
    ids=["empty", "page", "header", "short line", "fraction", "samples", "no table", "no key", "no length"],
)
def test_malformed_file_is_named(
    server, bladder: str, downloads: Downloads, path: str, body: bytes, says: str
) -> None:
    server.files[path] = body
    with pytest.raises(FileFormatError, match=says) as caught:
        fetch_recount3("gtex", "BLADDER", mirror=bladder, downloads=downloads)
    assert path.rpartition("/")[2] in str(caught.value)


@pytest.mark.parametrize("path", [SUMS, QC, OWN])
def test_file_that_is_not_there_is_named(server, bladder: str, downloads: Downloads, path: str) -> None:
    del server.files[path]
    with pytest.raises(DownloadError, match="does not have it") as caught:
        fetch_recount3("gtex", "BLADDER", mirror=bladder, downloads=downloads)
    assert path in str(caught.value)


def test_second_run_needs_no_network(server, bladder: str, downloads: Downloads) -> None:
    fetch_recount3("gtex", "BLADDER", mirror=bladder, downloads=downloads)
    n_asked = len(server.asked)
    fetch_recount3("gtex", "BLADDER", mirror=bladder, downloads=downloads)
    assert len(server.asked) == n_asked == 6
