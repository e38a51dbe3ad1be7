# SPDX-License-Identifier: BSD-3-Clause
"""`read_counts`: a file of any known format becomes checked counts, samples × genes."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from anndata import AnnData

from pydgd.data.arrow_tables import read_arrow
from pydgd.data.counts import Parts
from pydgd.data.coverage import REPAIR
from pydgd.data.coverage_reads import in_reads
from pydgd.data.delimited import read_delimited
from pydgd.data.duplicates import with_genes_summed
from pydgd.data.formats import OPENERS, detect_format
from pydgd.data.growing import ZARR_MARKS
from pydgd.data.hdf5 import anndata_parts, open_h5ad, open_zarr
from pydgd.data.orientation import anndata_is_turned, genes_in_rows, header_is_a_row
from pydgd.data.pipelines import (
    Source,
    find_sources,
    is_mtx_folder,
    is_pattern,
    read_mtx_folder,
    read_sources,
)
from pydgd.data.reading import Lengths, ReadOptions
from pydgd.data.rows import CountRows
from pydgd.data.side_columns import without_side_columns
from pydgd.errors import ConfigError, CountsError, FileFormatError, NamesError

_log = logging.getLogger(__name__)


def read_counts(
    path: str | PathLike[str],
    *,
    orient: str = "auto",
    layer: str | None = None,
    round_counts: bool = False,
    strand: str | None = None,
    tx2gene: str | PathLike[str] | None = None,
    duplicate_genes: str = "refuse",
    coverage_to_reads: Lengths | None = None,
    genes: Iterable[str] | None = None,
    empty_samples: str = "refuse",
) -> AnnData:
    r"""Read raw counts as AnnData, as a table, or as the programs write them that count reads.

    The format is found by content: h5ad and zarr; CSV, TSV, Parquet and Feather either way round; folders of
    MatrixMarket; featureCounts, HTSeq-count, STAR, salmon, kallisto, RSEM, GCT, GDC and recount3 gene sums,
    of which a folder or a pattern (``"star/*.tab"``) gives all samples. docs/formats.md tells of each.

    A table has its column names in the first line and its row names in the first column (Parquet: in the
    index). In a table of samples × genes the columns of text become `obs`, and numbers are counts but for
    usual labels such as age, which become `obs` with a warning: drop others first. In a table of genes ×
    samples the columns of text become `var`, as do numbers named length, start, end, width or entrez.

    Args:
        path: A file, a folder, or a pattern.
        orient: What is in the rows: ``"samples"``, ``"genes"``, or ``"auto"`` to tell from the names, the
            header of the first column and the shape; what was decided and why is logged. An AnnData is
            samples × genes unless its names say otherwise.
        layer: The layer of an AnnData with the counts, ``"X"`` for X itself. By default ``counts`` if
            there is such a layer, else X.
        round_counts: Round fractional values instead of refusing them. Those of salmon, kallisto and RSEM are
            always rounded.
        strand: Which counts of STAR or GDC: ``"unstranded"``, ``"forward"`` or ``"reverse"``. By default what
            STAR's counts of both strands say, and ``"unstranded"`` for GDC.
        tx2gene: For transcripts of salmon or kallisto: a table of transcript and gene, whose counts are
            summed.
        duplicate_genes: What becomes of a gene that stands there more than once: ``"refuse"`` or ``"sum"``.
        coverage_to_reads: Turns sums of base coverage (recount3), which are refused otherwise, into reads:
            the mean mapped length, or one for each sample (see `pydgd.data.coverage_to_reads`).
        genes: Genes of the model that the counts are for, as evidence of what is in the rows.
        empty_samples: ``"refuse"`` samples without reads, or ``"keep"`` them, for `pydgd.data.preprocess`.

    Returns:
        Checked counts in X, sparse if they were, labels in `obs` and `var`.

    Raises:
        FileFormatError: If a file cannot be read, is empty, truncated, not what its name says, or has other
            genes than the others of its folder.
        CountsError: If its values are not counts.
        NamesError: If names are missing, empty or repeated.
        ConfigError: If samples cannot be told from genes, or an option is needed or does not fit.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "counts.csv"
        ...     _ = path.write_text("gene,S1,S2\nTP53,3,1\nMYC,0,2\n")
        ...     read_counts(path).to_df()
            TP53  MYC
        S1     3    0
        S2     1    2
    """
    path = Path(path)
    options = ReadOptions.of(
        orient=orient, layer=layer, round_counts=round_counts, strand=strand, tx2gene=tx2gene,
        duplicate_genes=duplicate_genes, coverage_to_reads=coverage_to_reads, genes=genes,
        empty_samples=empty_samples,
    )  # fmt: skip
    with _opened(path, options) as parts, _file_named(path):
        return parts.in_memory().checked(round_counts=round_counts)


@contextmanager
def open_counts(
    path: str | PathLike[str],
    *,
    orient: str = "auto",
    layer: str | None = None,
    round_counts: bool = False,
    strand: str | None = None,
    tx2gene: str | PathLike[str] | None = None,
    duplicate_genes: str = "refuse",
    coverage_to_reads: Lengths | None = None,
    genes: Iterable[str] | None = None,
    empty_samples: str = "refuse",
) -> Iterator[CountRows]:
    r"""Open raw counts that need not fit in memory; arguments and errors are those of `read_counts`.

    Everything is read once to be checked, then again as it is asked for. Counts stay in the file if it is an
    h5ad or zarr of samples × genes and they are dense or CSR there; all others are read as a whole.

    Args:
        path: A file, open until the end of the block, a folder, or a pattern.
        orient: What is in the rows.
        layer: The layer of an AnnData with the counts.
        round_counts: Round fractional values instead of refusing them.
        strand: Which counts of STAR or GDC.
        tx2gene: Table of transcript and gene.
        duplicate_genes: What becomes of repeated genes.
        coverage_to_reads: Mean mapped lengths.
        genes: Genes of the model that the counts are for.
        empty_samples: What becomes of samples without reads.

    Yields:
        Checked counts.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "counts.csv"
        ...     _ = path.write_text("gene,S1,S2\nTP53,3,1\nMYC,0,2\n")
        ...     with open_counts(path) as counts:
        ...         counts.n_obs, counts.read(1, 2).X
        (2, array([[1, 2]], dtype=int32))
    """
    path = Path(path)
    options = ReadOptions.of(
        orient=orient, layer=layer, round_counts=round_counts, strand=strand, tx2gene=tx2gene,
        duplicate_genes=duplicate_genes, coverage_to_reads=coverage_to_reads, genes=genes,
        empty_samples=empty_samples,
    )  # fmt: skip
    with _opened(path, options) as parts:
        with _file_named(path):
            counts = CountRows.checked(parts, round_counts=round_counts)
        yield counts


@contextmanager
def _opened(path: Path, options: ReadOptions) -> Iterator[Parts]:
    """What a file holds, not yet checked; of an AnnData, open until the end, perhaps not yet read."""
    with ExitStack() as opened:
        with _file_named(path):
            parts = _parts(path, options, opened)
            if options.duplicate_genes == "sum":
                parts = with_genes_summed(parts)
            parts = replace(_as_reads(parts, path, options), keep_empty=options.empty_samples == "keep")
        yield parts


def _parts(path: Path, options: ReadOptions, opened: ExitStack) -> Parts:
    is_folder = path.is_dir()
    if is_folder and any((path / mark).exists() for mark in ZARR_MARKS):
        return _anndata(open_zarr(path), path, options)
    kind = None if is_folder or is_pattern(path) else detect_format(path)
    if kind == "h5ad":
        return _anndata(opened.enter_context(open_h5ad(path)), path, options)
    if options.layer is not None:
        raise ConfigError(
            f"{path}: layer={options.layer!r}, but only h5ad and zarr have layers; leave it out"
        )
    if is_folder and is_mtx_folder(path):
        return read_mtx_folder(path)
    if kind is None:
        return read_sources(find_sources(path, transcripts=options.tx2gene is not None), options)
    source = Source.of(path)
    return _table(path, kind, options) if source.family is None else read_sources([source], options)


def _as_reads(parts: Parts, path: Path, options: ReadOptions) -> Parts:
    if options.coverage_to_reads is not None:
        return in_reads(parts, options.coverage_to_reads)
    if parts.coverage:
        raise CountsError(
            f"{path}: recount3 gene sums are sums of base coverage, not counts of reads; {REPAIR}"
        )
    return parts


@contextmanager
def _file_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (ConfigError, CountsError, NamesError) as error:
        if str(path) in str(error):
            raise
        raise type(error)(f"{path}: {error}") from error


def _table(path: Path, kind: str, options: ReadOptions) -> Parts:
    table = read_delimited(path, kind=kind) if kind in OPENERS else read_arrow(path, kind)
    if header_is_a_row(table.label, table.row_names, table.column_names):
        raise FileFormatError(
            f"{path}: no line names the columns: the first holds {table.label!r} and numbers; add a header"
        )
    turned, why = genes_in_rows(
        table.row_names, table.column_names, label=table.label, orient=options.orient, genes=options.genes
    )
    _say(path, turned=turned, why=why)
    if turned and len(table.annotation.columns) and _only_counts_rows(table.row_names):
        raise NamesError(
            "the first column only numbers the rows, which would name the genes; write the table without it "
            "(index=False in pandas, row.names=FALSE in R)"
        )
    parts = without_side_columns(table.to_parts(genes_in_rows=turned), genes=options.genes)
    labels, name = (parts.var, "var") if turned else (parts.obs, "obs")
    if len(labels.columns):
        _log.info("%s: labels, put in %s: %s", path, name, ", ".join(map(str, labels.columns[:5])))
    return parts


def _only_counts_rows(names: Sequence[str]) -> bool:
    return any(names == [str(place) for place in range(first, first + len(names))] for first in (0, 1))


def _anndata(file: Any, path: Path, options: ReadOptions) -> Parts:  # noqa: ANN401  # a group of h5py or zarr
    parts = anndata_parts(file, path, options.layer)
    rows, columns = parts.obs.index.tolist(), parts.var.index.tolist()
    turned, why = anndata_is_turned(rows, columns, orient=options.orient, genes=options.genes)
    _say(path, turned=turned, why=why)
    return parts.transposed() if turned else parts


def _say(path: Path, *, turned: bool, why: str) -> None:
    _log.info("%s: read as %s, because %s", path, "genes x samples" if turned else "samples x genes", why)
