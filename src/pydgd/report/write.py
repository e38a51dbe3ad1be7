# SPDX-License-Identifier: BSD-3-Clause
"""`write_report`: from a model and counts to a page."""

from collections.abc import Callable, Iterable, Iterator
from os import PathLike
from typing import Any

import pandas as pd
from anndata import AnnData

from pydgd.data import CountRows, count_rows
from pydgd.data.blocks import AnyMatrix
from pydgd.dgd import DGD
from pydgd.errors import ConfigError
from pydgd.files import atomic_write, check_writable
from pydgd.inference import ClosestNormal, SearchOptions
from pydgd.report.page import page
from pydgd.report.samples import Samples, Thresholds
from pydgd.stats import CalibrationReport
from pydgd.tl.gene_set_files import GeneSets

Pairs = Iterable[tuple[AnnData, ClosestNormal]]

DEFAULT_TITLE = "Samples and their closest normals"


def write_report(
    model: DGD,
    counts: AnnData | pd.DataFrame | AnyMatrix | CountRows,
    path: str | PathLike[str],
    *,
    title: str = DEFAULT_TITLE,
    padj: float = 0.05,
    log2fc: float = 1.0,
    calibration: CalibrationReport | None = None,
    gene_sets: GeneSets | None = None,
    point: str = "posterior",
    min_shared: float = 0.5,
    sample_names: Iterable[str] | None = None,
    genes: Iterable[str] | None = None,
    options: SearchOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
    **testing: Any,  # noqa: ANN401  # those of differential_expression
) -> None:
    """Find closest normals, test, and write one HTML page that needs neither network nor server.

    The page shows for each sample what it is closest to and whether to trust it, a volcano plot and a map of
    the latent space to look into, all genes in a table to search, sort and download, how the p-values are
    calibrated, and where everything comes from. Each sample adds about 0.3 MB with 20,000 genes. The same
    input gives the same bytes. Neither names nor counts of the training samples are in it.

    Args:
        model: The trained model.
        counts: Counts, samples × genes; a NumPy array or SciPy sparse matrix needs both kinds of names.
        path: Where to write; an older file is replaced.
        title: Heading of the page.
        padj: Adjusted p-value that a call stays below when the page opens.
        log2fc: Smallest absolute log2 fold change of a call when the page opens.
        calibration: What `pydgd.calibration_report` found on further healthy samples, to be shown as well.
        gene_sets: Set → genes, as `pydgd.tl.read_gene_sets` gives them: each sample then shows which sets
            hold more of its calls than chance puts there.
        point: As in `DGD.closest_normal`.
        min_shared: Share of the model's genes that the counts must have.
        sample_names: Names of the rows of an array.
        genes: Names of the columns of an array.
        options: How hard to search.
        progress: Called with samples done and samples in all.
        **testing: `calibrated`, `rule`, `adjust`, `gene_list` … of `pydgd.differential_expression`.

    Raises:
        ConfigError: If a threshold is out of range, or `padj_below` is given.
        OutputError: If the page cannot be written.
        PyDGDError: As `DGD.closest_normal` does.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from pydgd.data import simulate_cohort
        >>> cohort = simulate_cohort(n_tissues=2, n_per_tissue=30, n_genes=200, seed=0)
        >>> model = DGD.fit(cohort.normals, latent_dim=4, epochs=5)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_report(model, cohort.cases[:2], Path(folder) / "report.html")
        ...     (Path(folder) / "report.html").read_text()[:15]
        '<!DOCTYPE html>'
    """
    thresholds = Thresholds(padj, log2fc)
    if testing.get("padj_below") is not None:
        raise ConfigError("padj_below would leave genes out of the page; its reader sets the threshold there")
    check_writable(path)
    rows = count_rows(counts, sample_names=sample_names, genes=genes)
    normals = model.closest_normal_chunks(
        rows, point=point, min_shared=min_shared, options=options, progress=progress
    )
    write_page(
        model,
        _with_counts(rows, normals),
        path,
        title=title,
        thresholds=thresholds,
        calibration=calibration,
        gene_sets=gene_sets,
        testing=testing,
    )


def write_page(
    model: DGD,
    pairs: Pairs,
    path: str | PathLike[str],
    *,
    title: str,
    thresholds: Thresholds,
    calibration: CalibrationReport | None,
    gene_sets: GeneSets | None,
    testing: dict[str, Any],
) -> None:
    """Test samples whose closest normals are known and write the page about them.

    Args:
        model: The trained model.
        pairs: Counts and closest normals of some samples at a time.
        path: Where to write.
        title: Heading of the page.
        thresholds: What counts as a call when it opens.
        calibration: How p-values behave on further healthy samples, if that was measured.
        gene_sets: Set → genes, to look for calls in; None for none.
        testing: Arguments of `pydgd.differential_expression`.

    Raises:
        OutputError: If the page cannot be written.
    """
    samples = Samples(model.fit_flags.limits, thresholds, gene_sets, testing)
    samples.add(pairs)
    text = page(model, samples, title=title, thresholds=thresholds, calibration=calibration)
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def _with_counts(
    rows: CountRows, normals: Iterable[ClosestNormal]
) -> Iterator[tuple[AnnData, ClosestNormal]]:
    first = 0
    for normal in normals:
        last = first + len(normal.sample_names)
        yield rows.read(first, last), normal
        first = last
