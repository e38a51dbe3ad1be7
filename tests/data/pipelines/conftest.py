# SPDX-License-Identifier: BSD-3-Clause
"""Small files as the programs write them: three samples of six genes, always the same counts."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import io, sparse

SAMPLES = ["S1", "S2", "S3"]
GENES = [f"ENSG{i:011d}.{i % 7 + 1}" for i in (3, 419, 457, 460, 938, 971)]
SYMBOLS = ["TSPAN6", "DPM1", "SCYL3", "FIRRM", "FGR", "CFH"]
COUNTS = np.array([[708, 0, 1148, 12, 3, 250], [467, 1, 515, 211, 0, 120], [900, 0, 621, 263, 164, 7]])
LENGTHS = [4536, 1207, 6883, 5970, 3382, 15284]


def lines(path: Path, rows, *, header=()) -> Path:
    """Tab-separated lines, gzipped if the name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join("\t".join(map(str, row)) + "\n" for row in [*header, *rows])
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if path.suffix == ".gz" else text.encode())
    return path


def featurecounts(folder: Path) -> Path:
    """One table, alignments as samples, and the summary beside it."""
    bams = [f"/data/bam/{name}.Aligned.sortedByCoord.out.bam" for name in SAMPLES]
    header = [
        ['# Program:featureCounts v2.0.6; Command:"featureCounts" "-a" "genes.gtf"'],
        ["Geneid", "Chr", "Start", "End", "Strand", "Length", *bams],
    ]
    rows = [
        [
            gene,
            "chrX;chrX" if k else "chrX",
            "100;300" if k else "100",
            "200;400" if k else "200",
            "-;-",
            length,
            *row,
        ]
        for k, (gene, length, row) in enumerate(zip(GENES, LENGTHS, COUNTS.T, strict=True))
    ]
    lines(folder / "counts.txt.summary", [["Status", *bams], ["Assigned", 1, 2, 3]])
    return lines(folder / "counts.txt", rows, header=header)


def htseq(folder: Path) -> Path:
    """Two columns, the reads that were not counted last."""
    tallies = ["__no_feature", "__ambiguous", "__too_low_aQual", "__not_aligned", "__alignment_not_unique"]
    for name, row in zip(SAMPLES, COUNTS, strict=True):
        rows = [*zip(GENES, row, strict=True), *((tally, 100 + k) for k, tally in enumerate(tallies))]
        lines(folder / f"{name}.htseq.counts.gz", rows)
    return folder


def star(folder: Path) -> Path:
    """Four columns without header; a library on the other strand, so that unstranded = both."""
    for name, row in zip(SAMPLES, COUNTS, strict=True):
        tallies = [(key, 9, 9, 9) for key in ("N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous")]
        rows = [
            (gene, count + count // 50, count // 50, count) for gene, count in zip(GENES, row, strict=True)
        ]
        lines(folder / f"{name}ReadsPerGene.out.tab", [*tallies, *rows])
        (folder / f"{name}Log.final.out").write_text("Started job on |\tNov 22\n")
        lines(folder / f"{name}SJ.out.tab", [("chr1", 14830, 14969, 2, 2, 1, 0, 5, 38)])
    return folder


def transcripts_of(row):
    """Two transcripts of each gene, with estimated reads that add up to the counts."""
    for gene, count in zip(GENES, row, strict=True):
        plain = gene.split(".")[0].replace("ENSG", "ENST")
        yield f"{plain}1.1", gene, round(0.3 * count + 0.2, 3) if count else 0.0
        yield f"{plain}2.1", gene, round(0.7 * count - 0.2, 3) if count else 0.0


def tx2gene(folder: Path) -> Path:
    return lines(folder / "tx2gene.tsv", [(t, g) for t, g, _ in transcripts_of(COUNTS[0])])


def salmon(folder: Path) -> Path:
    """A folder for each sample, with logs and JSON beside quant.sf."""
    header = [["Name", "Length", "EffectiveLength", "TPM", "NumReads"]]
    for name, row in zip(SAMPLES, COUNTS, strict=True):
        rows = [(t, 1000, 850.0, 1.5, reads) for t, _, reads in transcripts_of(row)]
        lines(folder / name / "quant.sf", rows, header=header)
        (folder / name / "cmd_info.json").write_text("{}")
        lines(folder / name / "logs" / "salmon_quant.log", [["[info] done"]])
        lines(folder / name / "libParams" / "flenDist.txt", [[0.01] * 100])
    return folder


def salmon_genes(folder: Path) -> Path:
    """What salmon writes with a gene map."""
    header = [["Name", "Length", "EffectiveLength", "TPM", "NumReads"]]
    for name, row in zip(SAMPLES, COUNTS, strict=True):
        rows = [(gene, 1000, 850.0, 1.5, count + 0.2) for gene, count in zip(GENES, row, strict=True)]
        lines(folder / name / "quant.genes.sf", rows, header=header)
    return folder


def kallisto(folder: Path) -> Path:
    """A folder for each sample, with an HDF5 file of the same."""
    header = [["target_id", "length", "eff_length", "est_counts", "tpm"]]
    for name, row in zip(SAMPLES, COUNTS, strict=True):
        rows = [(t, 1000, 850.0, reads, 1.5) for t, _, reads in transcripts_of(row)]
        lines(folder / name / "abundance.tsv", rows, header=header)
        (folder / name / "abundance.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    return folder


def rsem(folder: Path) -> Path:
    """Expected counts; isoforms beside genes."""
    header = [["gene_id", "transcript_id(s)", "length", "effective_length", "expected_count", "TPM", "FPKM"]]
    for name, row in zip(SAMPLES, COUNTS, strict=True):
        rows = [(g, "ENST1,ENST2", 1e3, 850.5, c + 0.25, 1.5, 2.5) for g, c in zip(GENES, row, strict=True)]
        lines(folder / f"{name}.genes.results", rows, header=header)
        isoforms = [["transcript_id", "gene_id", *header[0][2:], "IsoPct"]]
        rows = [("ENST1", *row[:1], *row[2:], 100) for row in rows]
        lines(folder / f"{name}.isoforms.results", rows, header=isoforms)
    return folder


def gct12(folder: Path) -> Path:
    """As GTEx publishes reads."""
    header = [["#1.2"], [len(GENES), len(SAMPLES)], ["Name", "Description", *SAMPLES]]
    rows = [(g, s, *row) for g, s, row in zip(GENES, SYMBOLS, COUNTS.T, strict=True)]
    return lines(folder / "gene_reads.gct.gz", rows, header=header)


def gct13(folder: Path) -> Path:
    """With labels of genes, one of them a number, and of samples."""
    header = [
        ["#1.3"],
        [len(GENES), len(SAMPLES), 2, 1],
        ["id", "symbol", "gene_length", *SAMPLES],
        ["tissue", "na", "na", "liver", "lung", "liver"],
    ]
    rows = [(g, s, n, *row) for g, s, n, row in zip(GENES, SYMBOLS, LENGTHS, COUNTS.T, strict=True)]
    return lines(folder / "reads.gct", rows, header=header)


def gdc(folder: Path) -> Path:
    """A folder for each file as gdc-client downloads them, with annotations beside."""
    header = [
        ["# gene-model: GENCODE v36"],
        [
            "gene_id",
            "gene_name",
            "gene_type",
            "unstranded",
            "stranded_first",
            "stranded_second",
            "tpm_unstranded",
        ],
    ]
    for name, row in zip(SAMPLES, COUNTS, strict=True):
        tallies = [
            (key, "", "", 9, 9, 9, "")
            for key in ("N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous")
        ]
        rows = [
            (g, s, "protein_coding", c, c // 2, c - c // 2, 0.5)
            for g, s, c in zip(GENES, SYMBOLS, row, strict=True)
        ]
        lines(
            folder / f"id-{name}" / f"{name}.rna_seq.augmented_star_gene_counts.tsv",
            [*tallies, *rows],
            header=header,
        )
        lines(folder / f"id-{name}" / "annotations.txt", [["id", "submitter_id"], ["1", "2"]])
    lines(folder / "gdc_sample_sheet.2024-01-01.tsv", [["File ID", "Sample ID"], ["id-S1", "TCGA-05-4244"]])
    return folder


def recount3(folder: Path) -> Path:
    """Base coverage of a project."""
    header = [["##annotation=G026"], ["##date.generated=2020-01-01"], ["gene_id", *SAMPLES]]
    rows = [(g, *(100 * row)) for g, row in zip(GENES, COUNTS.T, strict=True)]
    return lines(folder / "sra.gene_sums.SRP000001.G026.gz", rows, header=header)


def mtx3(folder: Path) -> Path:
    """Version 3: packed, features with a type."""
    matrix = sparse.coo_matrix(np.vstack([COUNTS.T, [1, 2, 3]]).astype(np.int64))
    io.mmwrite(folder / "matrix.mtx", matrix)
    (folder / "matrix.mtx.gz").write_bytes(gzip.compress((folder / "matrix.mtx").read_bytes(), mtime=0))
    (folder / "matrix.mtx").unlink()
    features = [(g, s, "Gene Expression") for g, s in zip(GENES, SYMBOLS, strict=True)]
    lines(folder / "features.tsv.gz", [*features, ("CD3", "CD3", "Antibody Capture")])
    lines(folder / "barcodes.tsv.gz", [[name] for name in SAMPLES])
    return folder


def mtx2(folder: Path) -> Path:
    """Version 2: plain, genes.tsv."""
    io.mmwrite(folder / "matrix.mtx", sparse.coo_matrix(COUNTS.T.astype(np.int64)))
    lines(folder / "genes.tsv", zip(GENES, SYMBOLS, strict=True))
    lines(folder / "barcodes.tsv", [[name] for name in SAMPLES])
    return folder


WRITERS = {
    writer.__name__: writer
    for writer in (
        featurecounts, htseq, star, salmon, salmon_genes, kallisto, rsem, gct12, gct13, gdc, recount3, mtx3,
        mtx2,
    )
}  # fmt: skip


def options_of(family: str, folder: Path) -> dict:
    """What must be said to read what `WRITERS[family]` wrote."""
    if family in ("salmon", "kallisto"):
        return {"tx2gene": tx2gene(folder.parent)}
    return {"coverage_to_reads": 100} if family == "recount3" else {}


def one_file(family: str, path: Path) -> Path:
    """The file that tests damage: of the second sample where each has its own."""
    inside = {
        "htseq": "S2.htseq.counts.gz", "star": "S2ReadsPerGene.out.tab", "salmon": "S2/quant.sf",
        "salmon_genes": "S2/quant.genes.sf", "kallisto": "S2/abundance.tsv", "rsem": "S2.genes.results",
        "gdc": "id-S2/S2.rna_seq.augmented_star_gene_counts.tsv", "mtx3": "matrix.mtx.gz",
        "mtx2": "matrix.mtx",
    }  # fmt: skip
    return path / inside[family] if family in inside else path


def text_of(path: Path) -> str:
    raw = path.read_bytes()
    return (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()


def write_text(path: Path, text: str | bytes) -> None:
    raw = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(raw, mtime=0) if path.suffix == ".gz" else raw)


def frame() -> pd.DataFrame:
    return pd.DataFrame(COUNTS, index=SAMPLES, columns=GENES)
