# SPDX-License-Identifier: BSD-3-Clause
"""Files of every program are read: same counts, names and labels whatever wrote them."""

import logging
import shutil

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from pydgd.data import open_counts, read_counts
from pydgd.errors import ConfigError, CountsError, FileFormatError

from .conftest import (
    COUNTS,
    GENES,
    LENGTHS,
    SAMPLES,
    SYMBOLS,
    WRITERS,
    lines,
    options_of,
    text_of,
    transcripts_of,
    write_text,
)


def written(family, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return WRITERS[family](folder), options_of(family, folder)


def check(adata, counts=COUNTS):
    matrix = adata.X.toarray() if sparse.issparse(adata.X) else adata.X
    assert np.array_equal(matrix, counts)
    assert adata.obs_names.tolist() == SAMPLES
    assert adata.var_names.tolist() == GENES


@pytest.mark.parametrize("family", WRITERS)
def test_every_program_is_read(tmp_path, family):
    """All samples at once, named by their files, folders or columns."""
    path, options = written(family, tmp_path)
    check(read_counts(path, **options))
    with open_counts(path, **options) as counts:
        assert counts.read(1, 2).obs_names.tolist() == ["S2"]


@pytest.mark.parametrize(
    ("family", "pattern"),
    [
        ("star", "*.tab"), ("htseq", "*.gz"), ("salmon", "*/quant.sf"), ("kallisto", "S?/abundance.tsv"),
        ("rsem", "S[1-3].genes.results"), ("gdc", "*/*.tsv"), ("featurecounts", "counts.tx?"),
    ],
)  # fmt: skip
def test_a_pattern_gives_the_files(tmp_path, family, pattern):
    """As a shell would, but in quotes."""
    path, options = written(family, tmp_path)
    folder = path if path.is_dir() else path.parent
    check(read_counts(folder / pattern, **options))


@pytest.mark.parametrize("family", ["star", "htseq", "salmon", "kallisto", "rsem", "gdc"])
def test_one_file_is_one_sample(tmp_path, family):
    """Named as it would be among others."""
    path, options = written(family, tmp_path)
    file = next(file for file in sorted(path.rglob("*")) if "S2" in str(file.relative_to(path)) and
    file.suffix in
                {".tab", ".gz", ".sf", ".tsv", ".results"})  # fmt: skip
    adata = read_counts(file, **options)
    assert adata.obs_names.tolist() == ["S2"]
    assert np.array_equal(adata.X[0], COUNTS[1])


def test_a_folder_with_subfolders_is_read_whole(tmp_path):
    """A sample's own folder may be given as well."""
    path, options = written("salmon", tmp_path)
    assert read_counts(path / "S3", **options).obs_names.tolist() == ["S3"]


def test_labels_are_kept(tmp_path):
    """What the files say of genes and samples."""
    for family, column, expected in (
        ("featurecounts", "Length", [str(n) for n in LENGTHS]),
        ("gct12", "Description", SYMBOLS),
        ("gct13", "symbol", SYMBOLS),
        ("gct13", "gene_length", [str(n) for n in LENGTHS]),
        ("gdc", "gene_name", SYMBOLS),
        ("mtx3", "symbol", SYMBOLS),
    ):
        path, options = written(family, tmp_path)
        assert read_counts(path, **options).var[column].astype(str).tolist() == expected
        if family == "gct13":
            assert read_counts(path).obs.tissue.tolist() == ["liver", "lung", "liver"]
        shutil.rmtree(tmp_path / "run")


def test_a_sparse_matrix_stays_sparse(tmp_path):
    """Features that are no genes are left out."""
    path, _ = written("mtx3", tmp_path)
    assert isinstance(read_counts(path).X, sparse.csr_matrix)


def test_extra_attributes_of_featurecounts_are_labels(tmp_path):
    """With --extraAttributes they stand between Length and the samples."""
    path, _ = written("featurecounts", tmp_path)
    rows = [line.split("\t") for line in text_of(path).splitlines()]
    names = ["gene_name", *SYMBOLS]
    lines(
        path, [[*row[:6], name, *row[6:]] for row, name in zip(rows[1:], names, strict=True)], header=rows[:1]
    )
    adata = read_counts(path)
    check(adata)
    assert adata.var["gene_name"].tolist() == SYMBOLS


@pytest.mark.parametrize(("strand", "column"), [("unstranded", 1), ("forward", 2), ("reverse", 3)])
def test_strandedness_of_star_is_chosen_or_found_and_said(tmp_path, strand, column, caplog):
    """By default from the counts of both strands."""
    path, _ = written("star", tmp_path)
    adata = read_counts(path, strand=strand)
    rows = [line.split("\t") for line in text_of(path / "S2ReadsPerGene.out.tab").splitlines()[4:]]
    assert adata.X[1].tolist() == [int(row[column]) for row in rows]
    assert not caplog.text
    read_counts(path)
    assert "reads are reverse by the counts of both strands" in caplog.text
    assert caplog.text.count("by the counts") == 1


def test_strandedness_that_cannot_be_told_is_asked_for(tmp_path):
    """Two thirds on one strand are neither; and samples must be alike."""
    rows = [("N_unmapped", 1, 1, 1), *((gene, 100, 66, 34) for gene in GENES)]
    path = lines(tmp_path / "S1ReadsPerGene.out.tab", rows)
    with pytest.raises(
        ConfigError, match="66% of the reads are on the genes' own strand; say --strand unstranded"
    ):
        read_counts(path)
    assert read_counts(path, strand="forward").X.sum() == 66 * len(GENES)
    for name, counts in (("S1", (100, 51, 49)), ("S2", (100, 3, 97))):
        lines(tmp_path / f"{name}ReadsPerGene.out.tab", [rows[0], *((gene, *counts) for gene in GENES)])
    with pytest.raises(
        FileFormatError, match=r"S2ReadsPerGene.* reads are reverse, but those of S1.* unstranded"
    ):
        read_counts(tmp_path)
    with pytest.raises(ConfigError, match="strand is 'yes'; give one of unstranded, forward, reverse"):
        read_counts(tmp_path, strand="yes")


def test_strandedness_of_gdc(tmp_path, caplog):
    """Unstranded counts are what GDC itself uses."""
    path, _ = written("gdc", tmp_path)
    assert np.array_equal(read_counts(path, strand="forward").X, COUNTS // 2)
    with caplog.at_level(logging.INFO, logger="pydgd"):
        read_counts(path)
    assert "column unstranded" in caplog.text


@pytest.mark.parametrize("header", ["", "TXNAME\tGENEID\n"])
@pytest.mark.parametrize("separator", ["\t", ",", " "])
@pytest.mark.parametrize("versions", [True, False])
def test_tables_of_transcripts_may_look_as_they_like(tmp_path, header, separator, versions):
    """With or without header and versions, separated by anything."""
    path, options = written("salmon", tmp_path)
    pairs = [(t if versions else t.split(".")[0], g) for t, g, _ in transcripts_of(COUNTS[0])]
    text = header + "".join(f"{t}\t{g}\n" for t, g in pairs)
    options["tx2gene"].write_text(text.replace("\t", separator))
    check(read_counts(path, **options))


def test_transcripts_of_gencode_bear_their_gene(tmp_path):
    """No table is needed."""
    header = [["Name", "Length", "EffectiveLength", "TPM", "NumReads"]]
    rows = [(f"{t}|{g}|OTT|x|", 1, 1, 1, reads) for t, g, reads in transcripts_of(COUNTS[0])]
    path = lines(tmp_path / "S1" / "quant.sf", rows, header=header)
    assert read_counts(path).X.tolist() == COUNTS[:1].tolist()


def test_transcripts_need_a_table_that_fits(tmp_path, caplog):
    """None, of another annotation, with gaps, contradictory."""
    path, options = written("salmon", tmp_path)
    with pytest.raises(ConfigError, match="need a table of transcripts and genes: --tx2gene TABLE"):
        read_counts(path)
    table = options["tx2gene"]
    pairs = table.read_text().splitlines()
    table.write_text("\n".join(pairs[:-1]) + "\n")
    assert read_counts(path, **options).n_vars == 6
    assert "1 of 12 transcripts have no gene" in caplog.text
    assert "% of the reads are on transcripts without a gene" in caplog.text
    table.write_text("ENSMUST1\tENSMUSG1\n")
    with pytest.raises(ConfigError, match="only 0 of 12 transcripts"):
        read_counts(path, **options)
    table.write_text("\n".join([*pairs, pairs[0] + "9"]) + "\n")
    with pytest.raises(FileFormatError, match="is said to be of several genes"):
        read_counts(path, **options)
    table.write_text("".join("\t".join(pair.split("\t")[::-1]) + "\n" for pair in pairs))
    with pytest.raises(FileFormatError, match=r"the other way round; swap them"):
        read_counts(path, **options)
    table.write_text("ENST1\n")
    with pytest.raises(FileFormatError, match=r"line 1 .* has no two fields"):
        read_counts(path, **options)


def test_salmons_files_of_genes_and_transcripts_are_not_mixed(tmp_path):
    """With a table the transcripts, else the genes."""
    path, options = written("salmon", tmp_path)
    WRITERS["salmon_genes"](path)
    check(read_counts(path))
    check(read_counts(path, **options))


def test_estimates_are_rounded_and_it_is_said(tmp_path, caplog):
    """Without being asked, unlike other fractions."""
    path, options = written("rsem", tmp_path)
    read_counts(path, **options)
    assert "rounded 18 fractional values to whole counts" in caplog.text


def test_gene_sums_are_coverage(tmp_path):
    """Refused by the kind of file, however few the genes."""
    path, _ = written("recount3", tmp_path)
    with pytest.raises(
        CountsError, match=r"sums of base coverage, not counts of reads; .*--coverage-to-reads LENGTH"
    ):
        read_counts(path)
    lengths = pd.Series({"S3": 100, "S2": 50, "S1": 25})
    check(read_counts(path, coverage_to_reads=lengths), COUNTS * np.array([[4], [2], [1]]))


def test_files_in_another_order_of_genes_are_aligned(tmp_path):
    """By name, as long as they have the same genes."""
    path, _ = written("rsem", tmp_path)
    file = path / "S2.genes.results"
    head, *rows = text_of(file).splitlines()
    file.write_text("\n".join([head, *rows[::-1]]) + "\n")
    check(read_counts(path))


def test_htseq_without_its_last_lines_is_said(tmp_path, caplog):
    """People remove them, and so does a full disk."""
    path = lines(tmp_path / "S1.txt", zip(GENES, COUNTS[0], strict=True))
    assert read_counts(path).n_vars == 6
    assert "if nobody removed them, the file is truncated" in caplog.text


@pytest.mark.parametrize("family", ["htseq", "star", "salmon_genes", "gdc", "gct12", "mtx2", "featurecounts"])
def test_blank_lines_at_the_end_and_windows_line_ends_do_not_matter(tmp_path, family):
    """Editors leave both, and a byte-order mark."""
    path, options = written(family, tmp_path)
    files = [path] if path.is_file() else [file for file in path.rglob("S*") if file.is_file()]
    files += list(tmp_path.rglob("*s.tsv")) if family == "mtx2" else []
    for file in files:
        if not file.name.endswith(("SJ.out.tab", "Log.final.out")):
            mark = "\ufeff" if family != "mtx2" else ""
            write_text(file, mark + (text_of(file) + "\n\n").replace("\n", "\r\n"))
    check(read_counts(path, **options))


def test_tables_cut_from_featurecounts_are_read(tmp_path):
    """With or without its first line, and one file for each sample as Galaxy gives them."""
    path, _ = written("featurecounts", tmp_path)
    head, *rows = text_of(path).splitlines()
    cut = [[row.split("\t")[0], *row.split("\t")[6:]] for row in rows]
    check(read_counts(lines(path, cut, header=[[head]])))
    check(read_counts(lines(path, cut)))
    for place, name in enumerate(SAMPLES, 1):
        lines(tmp_path / "galaxy" / f"{name}.tabular", [(row[0], row[place]) for row in cut])
    check(read_counts(tmp_path / "galaxy"))


@pytest.mark.parametrize(
    "form", ["/out/{}/Aligned.sortedByCoord.out.bam", "{}Aligned.out.sorted.bam", "{}.bam"]
)
def test_samples_of_featurecounts_are_called_by_their_alignments(tmp_path, form):
    """By the folder where STAR was given no prefix."""
    path, _ = written("featurecounts", tmp_path)
    text = text_of(path)
    for name in SAMPLES:
        text = text.replace(f"/data/bam/{name}.Aligned.sortedByCoord.out.bam", form.format(name))
    path.write_text(text)
    check(read_counts(path))


def test_an_alignment_without_a_name_is_called_by_its_table(tmp_path):
    """As when featureCounts runs in the folder that STAR wrote."""
    path, _ = written("featurecounts", tmp_path)
    rows = [line.split("\t") for line in text_of(path).splitlines()]
    head, columns, *genes = rows
    for name, place in zip(SAMPLES, (6, 7, 8), strict=True):
        header = [head, [*columns[:6], "Aligned.sortedByCoord.out.bam"]]
        cut = [[*row[:6], row[place]] for row in genes]
        lines(tmp_path / "each" / f"{name}.featureCounts.txt", cut, header=header)
    check(read_counts(tmp_path / "each"))


def test_gtex_tables_of_a_tissue_have_a_number_before_the_name(tmp_path):
    """Version 8: id, Name, Description."""
    path, _ = written("gct12", tmp_path)
    version, size, header, *rows = text_of(path).splitlines()
    numbered = [f"{number}\t{row}" for number, row in enumerate(rows)]
    write_text(path, "\n".join([version, size, "id\t" + header, *numbered]) + "\n")
    adata = read_counts(path)
    check(adata)
    assert adata.var.columns.tolist() == ["Description"]


def test_tables_that_resemble_a_programs_are_tables(tmp_path):
    """Annotated as GDC's files are, or put together from STAR's."""
    rows = [(g, s, "protein_coding", *c) for g, s, c in zip(GENES, SYMBOLS, COUNTS.T, strict=True)]
    header = ["gene_id", "gene_name", "gene_type", *SAMPLES]
    check(read_counts(lines(tmp_path / "a.tsv", rows, header=[header])))
    rows = [("N_unmapped", 9, 9, 9), *((g, *c) for g, c in zip(GENES, COUNTS.T, strict=True))]
    check(read_counts(lines(tmp_path / "b.tsv", rows, header=[["ensembl", *SAMPLES]])))
