"""`pydgd recount3` and `pydgd genes` against a server on this machine."""

import logging
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import anndata
import pandas as pd
import pytest

from pydgd import GeneTable, read_counts
from pydgd.cli import main

PATH = "/biomart/martservice"


@pytest.fixture
def run(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable]:
    """The command's exit code and what it said; the process is afterwards as before."""
    log = logging.getLogger("pydgd")
    before = log.handlers, log.level, log.propagate, signal.getsignal(signal.SIGTERM)
    monkeypatch.setenv("PYDGD_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")

    def call(*arguments: object) -> tuple[int, str]:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return code, capfd.readouterr().err

    yield call
    log.handlers, log.level, log.propagate = before[:3]
    signal.signal(signal.SIGTERM, before[3])


def test_project_as_h5ad(run: Callable, bladder: str, tmp_path: Path) -> None:
    code, said = run("recount3", "gtex", "bladder", "-o", "bladder.h5ad", "--mirror", bladder, "--coverage")
    assert code == 0, said
    assert "wrote bladder.h5ad" in said
    adata = anndata.read_h5ad("bladder.h5ad")
    assert adata.shape == (3, 3)
    assert adata.uns["recount3"]["project"] == "BLADDER"
    assert adata.layers["coverage"].max() == 10**9
    assert read_counts("bladder.h5ad").shape == (3, 3)


@pytest.mark.parametrize("name", ["bladder.csv", "bladder.tsv.gz", "bladder.parquet"])
def test_project_as_table_is_read_back(run: Callable, bladder: str, name: str) -> None:
    arguments = ["recount3", "gtex", "BLADDER", "-o", name, "--metadata", "labels.tsv", "--mirror", bladder]
    code, said = run(*arguments, "--keep", "smtsd|smrin", "--query", "smrin > 5")
    assert code == 0, said
    counts = read_counts(name)
    assert counts.to_df().loc["GTEX-A.1"].tolist() == [10, 20, 0]
    labels = pd.read_csv("labels.tsv", sep="\t")
    assert labels.columns.tolist() == ["sample", "gtex.smtsd", "gtex.smrin"]
    assert labels["sample"].tolist() == counts.obs_names.tolist() == ["GTEX-A.1", "GTEX-B.1"]


@pytest.mark.parametrize("form", ["csv", "yaml"])
def test_samplesheet(run: Callable, server, bladder: str, tmp_path: Path, form: str) -> None:
    table = pd.DataFrame({"SRR1": [100], "SRR2": [200]}, index=["ENSG00000141510.16"])
    server.add_project(
        "sra", "SRP009615", table, lengths=[50.0, 50.0], metadata={"run": ["a", "b"]}, code="G026"
    )
    sheets = {
        "csv": "input_project_name,input_samples_category,query_string,metadata_to_keep,gencode_release\n"
        "GTEx,bladder,query.txt,SMTSD|SMRIN,29\nSRA,SRP009615,,,26\n",
        "yaml": "- {source: gtex, project: bladder, query: smrin > 7, keep: [smtsd, smrin]}\n"
        "- {source: sra, project: SRP009615, annotation: gencode_v26}\n",
    }
    (tmp_path / "query.txt").write_text("gtex.smrin\n> 7\n")
    (tmp_path / f"sheet.{form}").write_text(sheets[form])
    code, said = run("recount3", "--batches", f"sheet.{form}", "-o", "out", "--mirror", bladder)
    assert code == 0, said
    assert sorted(path.name for path in Path("out").iterdir()) == ["gtex_BLADDER.h5ad", "sra_SRP009615.h5ad"]
    adata = anndata.read_h5ad("out/gtex_BLADDER.h5ad")
    assert adata.obs_names.tolist() == ["GTEX-A.1"]
    assert adata.obs.columns.tolist() == ["gtex.smtsd", "gtex.smrin"]
    assert anndata.read_h5ad("out/sra_SRP009615.h5ad").X.tolist() == [[2], [4]]


def test_project_that_fails_stops_no_other(run: Callable, bladder: str, tmp_path: Path) -> None:
    (tmp_path / "sheet.yaml").write_text(
        "- {source: tcga, project: BRCA}\n- {source: gtex, project: BLADDER}\n"
    )
    code, said = run(
        "recount3", "--batches", "sheet.yaml", "-o", "out", "--mirror", bladder, "--format", "csv"
    )
    assert code == 2
    assert "1 of 2 projects failed" in said
    assert "tcga.gene_sums.BRCA.G029.gz: the server does not have it" in said
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "gtex_BLADDER.csv",
        "gtex_BLADDER_metadata.csv",
    ]


def test_failure_leaves_no_file(run: Callable, server, bladder: str) -> None:
    server.faults = {path: ["503"] * 2 for path in server.files}
    code, said = run("recount3", "gtex", "BLADDER", "-o", "a.h5ad", "--mirror", bladder, "--attempts", 1)
    assert code == 2
    assert "the server answers 503" in said
    assert not Path("a.h5ad").exists()
    code, said = run("recount3", "gtex", "BLADDER", "-o", "a.h5ad", "--mirror", bladder, "--attempts", 3)
    assert code == 0, said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-o", "a.h5ad"], "give SOURCE and PROJECT"),
        (["gtex", "-o", "a.h5ad"], "give SOURCE and PROJECT"),
        (["gtex", "BLADDER", "-o", "a.xlsx"], "cannot tell the format"),
        (["encode", "K562", "-o", "a.h5ad"], "unknown source 'encode'"),
        (["gtex", "BLADDER", "-o", "a.h5ad", "--annotation", "v30"], "unknown annotation 'v30'"),
        (["gtex", "BLADDER", "-o", "a.h5ad", "--mirror", "recount3"], "is no address"),
        (["sra", "../etc", "-o", "a.h5ad"], "cannot be a project"),
        (["--batches", "none.yaml", "-o", "out"], "cannot be read as a samplesheet"),
    ],
)
def test_bad_arguments_are_named(run: Callable, arguments: list[str], says: str) -> None:
    code, said = run("recount3", *arguments)
    assert code == 2
    assert says in said


def test_genes_become_a_table_and_a_list(run: Callable, server) -> None:
    server.files[PATH] = b"ENSG00000169429\tCXCL8\tIL8\nENSG00000141510\tTP53\tLFS1\n[success]\n"
    (Path.cwd() / "genes.yaml").write_text(
        "attributes: [ensembl_gene_id, external_gene_name, external_synonym]\n"
        "filters: {biotype: [protein_coding]}\n"
    )
    code, said = run(
        "genes",
        "-o",
        "genes.csv",
        "--list",
        "genes.txt",
        "--config",
        "genes.yaml",
        "--server",
        server.url + PATH,
    )
    assert code == 0, said
    assert "2 genes, 2 rows" in said
    assert Path("genes.txt").read_text() == "ENSG00000141510\nENSG00000169429\n"
    assert GeneTable.read("genes.csv").names("symbol") == ["CXCL8", "TP53"]
    assert b"biotype" in server.forms[0]
    assert b"transcript_biotype" not in server.forms[0]


def test_attributes_and_filters_on_the_command_line(run: Callable, server) -> None:
    server.files[PATH] = b"ENSMUSG00000059552\tTrp53\n[success]\n"
    arguments = ["genes", "-o", "genes.tsv", "--species", "mouse", "--attribute", "mgi_symbol", "--server"]
    code, said = run(*arguments, server.url + PATH, "--filter", "chromosome_name=11,12")
    assert code == 0, said
    assert b"mmusculus_gene_ensembl" in server.forms[0]
    assert b"chromosome_name" in server.forms[0]
    code, said = run(*arguments, server.url + PATH, "--all")
    assert code == 0, said
    assert b"Filter" not in server.forms[1]


@pytest.mark.parametrize(
    ("arguments", "config", "says"),
    [
        (["--species", "rat"], "", "unknown species 'rat'"),
        (["--filter", "biotype"], "", "cannot read the filter"),
        (["--filter", "a=b", "--all"], "", "exclude each other"),
        (["--config", "genes.yaml"], "attribute: [a]", "has 'attribute'"),
        (["--config", "genes.yaml"], "attributes: a", "must be a list"),
        (["--config", "genes.yaml"], "{", "cannot be read as YAML"),
    ],
)
def test_bad_questions_are_named(
    run: Callable, tmp_path: Path, arguments: list[str], config: str, says: str
) -> None:
    (tmp_path / "genes.yaml").write_text(config)
    code, said = run("genes", "-o", "genes.csv", *arguments)
    assert code == 2
    assert says in said
