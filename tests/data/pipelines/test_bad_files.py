# SPDX-License-Identifier: BSD-3-Clause
"""Broken files of every kind are refused, and the message names file and cause."""

import gzip
import lzma
import re
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from pydgd.data import read_counts
from pydgd.errors import PyDGDError

from .conftest import COUNTS, GENES, SAMPLES, WRITERS, frame, lines, one_file, options_of, text_of, write_text

VARIANTS = (
    "truncated",
    "wrong columns",
    "mixed samples",
    "bad number",
    "negative number",
    "wrong encoding",
    "empty",
)
TRUNCATED = r"truncated|has \d+ fields where|no two fields"
CAUSES = {
    "truncated": TRUNCATED,
    "wrong columns": r"has \d+ fields where|no column|columns|by its name this should be|header of "
    "gene_id|second line of a GCT"
    r"|not a file that a counting program|Invalid integer",
    "mixed samples": r"not the genes of|both of sample|repeated sample names|names where the matrix "
    "has|needs just one",
    "bad number": r"holds '12a', not a number|is not a number in a matrix",
    "negative number": "negative count: sample 'S[23]', gene",
    "wrong encoding": "not UTF-8|UTF-16",
    "empty": "the file is empty",
}


def change(file, variant, family):
    """Damage a file of text."""
    text = text_of(file)
    rows = text.splitlines()
    if variant == "truncated":
        write_text(file, text[: -len(rows[-1]) // 2 - 1])
    elif variant == "wrong columns":
        write_text(file, "".join(f"{without_counts(line, family)}\n" for line in rows))
    elif variant in ("bad number", "negative number"):
        value = "12a" if variant == "bad number" else "-12"
        write_text(file, with_value(text, family, value))
    elif variant == "wrong encoding":
        first, _, rest = text.partition("\n")
        names = text.replace("ENSG00000000003", "M\xfcller").replace("ENST00000000003", "M\xfcller")
        write_text(file, (names if names != text else first + " M\xfcller\n" + rest).encode("latin-1"))
    elif variant == "empty":
        file.write_bytes(b"")


def without_counts(line, family):
    """Without the column of the counts, or one that every such file has."""
    separator = " " if family.startswith("mtx") else "\t"
    fields = line.split(separator)
    if line.startswith(("#", "%")) or len(fields) < 2:
        return line
    places = {"featurecounts": 5, "kallisto": 3, "rsem": 4, "gdc": 3, "recount3": 0}
    del fields[places.get(family, -1)]
    return separator.join(fields)


def with_value(text, family, value):
    """Another value for a gene of the second sample."""
    rows = text.splitlines()
    row = {"htseq": -6, "mtx2": -2, "mtx3": -5}.get(family, -1)
    fields = rows[row].split(" " if family.startswith("mtx") else "\t")
    place = {"salmon": 4, "salmon_genes": 4, "kallisto": 3, "rsem": 4, "gdc": 3, "star": 3, "htseq": 1}.get(
        family, -2
    )
    fields[-1 if family.startswith("mtx") else place] = value
    rows[row] = (" " if family.startswith("mtx") else "\t").join(fields)
    return "\n".join(rows) + "\n"


def mix(family, path):
    """A sample with other genes, or two samples of one name."""
    file = one_file(family, path)
    if family.startswith("mtx"):
        barcodes = next(path.glob("barcodes*"))
        write_text(barcodes, text_of(barcodes) + "S4\n")
    elif file == path:
        write_text(file, text_of(file).replace("S3", "S2"))
    else:
        write_text(file, text_of(file).replace("0000971", "0009999"))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("family", WRITERS)
def test_a_broken_file_of_a_program_is_refused(tmp_path, family, variant):
    """Never read as if all were well."""
    folder = tmp_path / "run"
    folder.mkdir()
    path, options = WRITERS[family](folder), options_of(family, folder)
    if variant == "mixed samples":
        mix(family, path)
    else:
        file = one_file(family, path)
        if family.startswith("mtx") and variant == "wrong encoding":
            file = next(path.glob("*s.tsv*"))
        change(file, variant, family)
    with pytest.raises(PyDGDError) as caught:
        read_counts(path, **options)
    assert str(folder) in str(caught.value)
    assert re.search(CAUSES[variant], str(caught.value)), str(caught.value)


@pytest.mark.parametrize(
    "family", ["htseq", "star", "rsem", "gdc", "salmon_genes", "gct12", "gct13", "mtx2", "mtx3"]
)
def test_a_file_cut_between_lines_is_refused(tmp_path, family):
    """Where another file, or the size that a header gives, says what is missing."""
    path = WRITERS[family](tmp_path)
    file = one_file(family, path)
    write_text(file, "".join(f"{line}\n" for line in text_of(file).splitlines()[:-2]))
    with pytest.raises(PyDGDError, match="truncated"):
        read_counts(path)


@pytest.mark.parametrize("family", ["htseq", "gct12", "recount3", "mtx3"])
def test_damaged_compression_is_refused(tmp_path, family):
    """Also in a folder, where the others are fine."""
    path = WRITERS[family](tmp_path)
    file = one_file(family, path)
    file.write_bytes(file.read_bytes()[:-12])
    with pytest.raises(PyDGDError, match="truncated or damaged"):
        read_counts(path, **options_of(family, tmp_path))


def test_two_kinds_of_files_in_a_folder_are_refused(tmp_path):
    """With one of each; so are two files of one sample."""
    WRITERS["star"](tmp_path)
    WRITERS["rsem"](tmp_path)
    kinds = r"files of two kinds: S1.genes.results is RSEM's .*ReadsPerGene.out.tab is STAR's"
    with pytest.raises(PyDGDError, match=kinds):
        read_counts(tmp_path)
    for file in tmp_path.glob("*ReadsPerGene*"):
        file.unlink()
    WRITERS["rsem"](tmp_path / "second")
    with pytest.raises(PyDGDError, match=r"S1.genes.results and .*S1.genes.results are both of sample 'S1'"):
        read_counts(tmp_path)


def test_a_stranger_among_samples_is_refused(tmp_path):
    """A file that ends as they do may be a sample that was damaged, where names promise nothing."""
    path = WRITERS["htseq"](tmp_path / "htseq")
    lines(path / "S4.htseq.counts.gz", [["some", "thing"]])
    with pytest.raises(PyDGDError, match=r"S4.htseq.counts.gz: not a file that a counting program wrote"):
        read_counts(path)
    path = WRITERS["rsem"](tmp_path)
    lines(path / "S4.results", [["some", "thing"]])
    with pytest.raises(PyDGDError, match=r"S4.results: not a file that"):
        read_counts(path / "*.results")
    assert read_counts(path / "*.genes.results").n_obs == 3


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        (
            "S1ReadsPerGene.out.tab",
            "gene\tcount\nENSG1\t3\n",
            "by its name this should be STAR's ReadsPerGene.out.tab",
        ),
        ("quant.sf", "a\tb\n", "by its name this should be salmon's quant.sf, but it is something else"),
        (
            "S1.isoforms.results",
            "transcript_id\tgene_id\tlength\teffective_length\texpected_count\tTPM\tFPKM\tIsoPct\n",
            "counts of isoforms; give RSEM's *.genes.results",
        ),
        ("counts.txt.summary", "Status\ta.bam\nAssigned\t3\n", "give the table beside it"),
        ("m.mtx", "%%MatrixMarket matrix coordinate integer general\n1 1 1\n1 1 3\n", "give its folder"),
    ],
)
def test_files_without_counts_are_told_from_others(tmp_path, name, text, problem):
    """With what to give instead."""
    (tmp_path / name).write_text(text)
    with pytest.raises(PyDGDError, match=re.escape(problem)):
        read_counts(tmp_path / name)


def test_a_folder_or_pattern_without_counts_says_what_it_may_hold(tmp_path):
    """Tables are given by name."""
    frame().to_csv(tmp_path / "counts.csv")
    with pytest.raises(
        PyDGDError, match=r"no counts in this folder; expected, for each sample, one of a featureCounts"
    ):
        read_counts(tmp_path)
    with pytest.raises(PyDGDError, match="no file of counts matches this pattern"):
        read_counts(tmp_path / "*.tab")


TABLES = ("x.csv", "x.tsv", "x.tsv.gz", "x.csv.xz", "x.parquet", "x.feather", "x.h5ad", "x.zarr")
TABLE_CAUSES = {
    "truncated": "truncated|fields where the first has|lacks the group",
    "wrong columns": "no column of numbers|no separator|no column names the rows|lacks the group|no genes",
    "mixed samples": "repeated sample names",
    "bad number": "not a number|two-dimensional table of numbers|missing count",
    "negative number": "negative count: sample 'S2', gene",
    "fraction": "fractional counts",
    "wrong encoding": "not UTF-8|by its extension|truncated or damaged",
    "empty": "the file is empty|no such file|lacks the group",
}


def write_table(path, counts=COUNTS, samples=SAMPLES, genes=GENES):
    """Counts in the format of the name."""
    data = pd.DataFrame(counts, index=samples, columns=genes)
    for gene in data.columns[data.isin(["12a"]).any()] if len(data.columns) else ():
        data[gene] = data[gene].astype(str)
    data = data.infer_objects()
    if path.suffix in (".h5ad", ".zarr"):
        with warnings.catch_warnings():
            # Of repeated names, and of the format of zarr.
            warnings.simplefilter("ignore")
            adata = AnnData(data.to_numpy(), obs=data.iloc[:, :0], var=data.T.iloc[:, :0])
            adata.write_h5ad(path) if path.suffix == ".h5ad" else adata.write_zarr(path)
    elif path.suffix == ".parquet":
        data.to_parquet(path)
    elif path.suffix == ".feather":
        data.rename_axis("sample").reset_index().to_feather(path)
    else:
        data.to_csv(path, sep="\t" if "tsv" in path.name else ",")


def break_table(path, variant):
    """Write a table with one thing wrong."""
    counts, samples = COUNTS.astype(object), SAMPLES
    if variant == "mixed samples":
        samples = ["S1", "S2", "S1"]
    elif variant == "bad number":
        counts = np.where(counts == 467, np.nan if path.suffix in (".h5ad", ".zarr") else "12a", counts)
    elif variant == "negative number":
        counts = np.where(counts == 467, -467, counts)
    elif variant == "fraction":
        counts = np.where(counts == 467, 467.5, counts)
    elif variant == "wrong columns":
        counts = counts[:, :0]
    numeric = variant != "bad number" or path.suffix in (".h5ad", ".zarr")
    dtype = (float if variant in ("fraction", "bad number") else int) if numeric else object
    write_table(path, counts.astype(dtype), samples, GENES[: counts.shape[1]])
    if variant in ("truncated", "empty", "wrong encoding"):
        damage(path, variant)


def damage(path, variant):
    """Spoil the bytes of a file, or of an array of a zarr folder."""
    if path.suffix == ".zarr":
        if variant == "empty":
            for inside in path.iterdir():
                shutil.rmtree(inside) if inside.is_dir() else inside.unlink()
            (path / ".zgroup").write_text('{"zarr_format": 2}')
            return
        chunk = next(
            file
            for file in (path / "X").rglob("*")
            if not file.name.startswith((".", "z")) and file.is_file()
        )
        chunk.write_bytes(chunk.read_bytes()[:20] if variant == "truncated" else b"\xff\xfe")
        return
    whole = {".xz": lzma.open, ".gz": gzip.open}.get(path.suffix)
    if variant == "truncated":
        path.write_bytes(
            path.read_bytes()[
                : -max(12, path.stat().st_size // 3) if whole or path.suffix[1:] in "h5ad" else -9
            ]
        )
    elif variant == "empty":
        path.write_bytes(b"")
    elif whole:
        with whole(path) as stream:
            text = stream.read()
        with whole(path, "w") as stream:
            stream.write(text.replace(b"S2", b"\xfcS2"))
    elif path.suffix in (".csv", ".tsv"):
        path.write_bytes(path.read_bytes().replace(b"S2", b"\xfcS2"))
    else:
        path.write_bytes("sample,TP53\nS1,3\n".encode("utf-16"))


@pytest.mark.parametrize("variant", TABLE_CAUSES)
@pytest.mark.parametrize("name", TABLES)
def test_a_broken_table_is_refused(tmp_path, name, variant):
    """Text, compressed text, Arrow's formats and AnnData's."""
    if name == "x.zarr":
        pytest.importorskip("zarr")
    path = tmp_path / name
    write_table(path)
    assert np.array_equal(read_counts(path).X, COUNTS)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    break_table(path, variant)
    with pytest.raises(PyDGDError) as caught:
        read_counts(path)
    assert str(path) in str(caught.value)
    assert re.search(TABLE_CAUSES[variant], str(caught.value)), str(caught.value)
