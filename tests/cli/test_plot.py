# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd plot`: every kind from files, and what cannot be drawn."""

from pathlib import Path

import pandas as pd
import pytest

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def tables(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with de.csv, cases.h5ad with closest normals, sets.csv and places.csv."""
    from pydgd import DGD, differential_expression, read_counts
    from pydgd.data.h5ad_writer import write_h5ad

    folder = tmp_path_factory.mktemp("tables")
    cases = read_counts(cohort / "cases.h5ad")
    normal = DGD.load(cohort / "normals.dgd").closest_normal(cases)
    differential_expression(cases, normal).to_csv(folder / "de.csv", index=False)
    write_h5ad(normal.to_anndata(cases), folder / "normal.h5ad")
    pd.DataFrame({"gene_set": ["A", "B"], "padj": [0.01, 0.5]}).to_csv(folder / "sets.csv", index=False)
    places = {"sample": ["S1", "S2"], "UMAP 1": [0.0, 1.0], "UMAP 2": [2.0, 1.0], "tissue": ["liver", "lung"]}
    pd.DataFrame(places).to_csv(folder / "places.csv", index=False)
    return folder


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("volcano", ["de.csv", "--sample", "C00001"]),
        ("ma", ["de.csv", "--sample", "C00001", "--label-top", "3"]),
        ("observed-expected", ["de.csv", "--sample", "C00001", "--band", "0"]),
        ("dispersion-mean", ["de.csv"]),
        ("r-values", ["de.csv", "--kind", "violin"]),
        ("residual-heatmap", ["de.csv", "--genes", "5", "--as-given"]),
        ("recurrence", ["de.csv", "--log2fc", "0", "--padj", "1"]),
        ("enrichment", ["sets.csv"]),
        ("embedding", ["places.csv", "--x", "UMAP 1", "--y", "UMAP 2", "--color-by", "tissue"]),
    ],
)
def test_a_table_becomes_a_picture(pydgd, tables, tmp_path, kind, arguments) -> None:
    """Of the size that was asked for."""
    picture = tmp_path / "p.png"
    result = pydgd(
        "plot", kind, tables / arguments[0], *arguments[1:], "-o", picture, "--width", "4", "--dpi", "50"
    )
    assert result.code == 0, result.err
    assert "wrote" in result.err
    content = picture.read_bytes()
    assert content.startswith(PNG)
    assert int.from_bytes(content[16:20], "big") == 200


@pytest.mark.parametrize("more", [[], ["--color-by", "tissue"], ["--color-by", "dgd_misfit"]])
def test_a_latent_map_takes_a_query(pydgd, cohort, tables, tmp_path, more) -> None:
    """Coloured by words or numbers of its own."""
    picture = tmp_path / "p.svg"
    query = ["--query", tables / "normal.h5ad"]
    result = pydgd("plot", "latent-map", cohort / "normals.dgd", *query, *more, "-o", picture)
    assert result.code == 0, result.err
    assert picture.read_text().startswith("<?xml")


def test_a_loss_history_and_a_style(pydgd, cohort, tmp_path) -> None:
    """All of matplotlib's settings are the user's."""
    picture = tmp_path / "p.png"
    result = pydgd("plot", "loss-history", cohort / "normals.dgd", "-o", picture, "--style", "ggplot")
    assert result.code == 0, result.err
    assert picture.read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["volcano", "de.csv"], "the table has several samples: 'C00001'"),
        (["volcano", "de.csv", "--sample", "C9"], "no sample 'C9' in the table"),
        (["volcano", "de.csv", "--sample", "C00001", "--padj", "2"], "padj is 2.0"),
        (["volcano", "sets.csv"], "lacks the columns sample, gene"),
        (["volcano", "none.csv"], "there is no such file"),
        (["r-values", "de.csv", "--kind", "pie"], "pie"),
        (["embedding", "places.csv", "--x", "A", "--y", "B"], "lacks the columns A, B"),
        (["volcano", "de.csv", "--sample", "C00001", "--style", "nice"], "no style 'nice'"),
    ],
)
def test_what_cannot_be_drawn_is_one_clear_message(pydgd, tables, tmp_path, arguments, words) -> None:
    """Exit code 2, and no picture."""
    kind, table, *more = arguments
    result = pydgd("plot", kind, tables / table, *more, "-o", tmp_path / "p.png")
    assert result.code == 2
    assert words in result.err
    assert "sample=..." not in result.err
    assert not list(tmp_path.iterdir())


def test_tables_of_the_same_name_are_told_apart_by_their_folders(pydgd, tables, tmp_path) -> None:
    """One de.csv in each folder is what runs leave; the same file twice is a slip."""
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / "de.csv"
    other.write_bytes((tables / "de.csv").read_bytes())
    picture = tmp_path / "p.png"
    result = pydgd("plot", "r-values", tables / "de.csv", other, "-o", picture)
    assert result.code == 0, result.err
    result = pydgd("plot", "r-values", other, other, "-o", picture)
    assert result.code == 2
    assert "given twice" in result.err


def test_a_picture_of_an_unknown_format_is_refused(pydgd, tables, tmp_path) -> None:
    """Before anything is read."""
    result = pydgd("plot", "volcano", tables / "de.csv", "-o", tmp_path / "p.bmp")
    assert result.code == 2
    assert "ends in .png, .pdf, .svg" in result.err


def test_a_colour_needs_a_query(pydgd, cohort, tables, tmp_path) -> None:
    """And a column that the query has."""
    model = cohort / "normals.dgd"
    result = pydgd("plot", "latent-map", model, "--color-by", "tissue", "-o", tmp_path / "p.png")
    assert (result.code, "give one with --query" in result.err) == (2, True)
    query = ["--query", tables / "normal.h5ad", "--color-by", "mood"]
    result = pydgd("plot", "latent-map", model, *query, "-o", tmp_path / "p.png")
    assert (result.code, "no column 'mood'" in result.err) == (2, True)
