# SPDX-License-Identifier: BSD-3-Clause
"""Closest normals for two commands, chunk by chunk: searched, or found in a file. Heavy: imported late."""

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData

from pydgd.cli.fit_flags import close_normal_news
from pydgd.cli.gene_names import open_named
from pydgd.cli.progress import Progress, duration
from pydgd.cli.reading import Reading
from pydgd.cli.sharing import Shared, gathered
from pydgd.cli.terminal import Terminal
from pydgd.data import CountRows, GeneMatch, match_genes
from pydgd.dgd import DGD
from pydgd.inference import ClosestNormal, SavedNormal, SearchOptions
from pydgd.inference.posterior import check_point
from pydgd.training.ranks import ALONE, Ranks
from pydgd.words import plural

Pairs = Iterator[tuple[AnnData, ClosestNormal]]


@dataclass(frozen=True)
class Finding:
    """How a command comes by closest normals: by a search, or out of a file.

    Attributes:
        model: The trained model.
        saved: What `pydgd closest-normal` wrote, for closest normals out of it.
        point: What stands for the closest normal, for a search.
        min_shared: Share of the model's genes that the query must have.
        options: Other arguments of `DGD.closest_normal_chunks`, for a search.
    """

    model: DGD
    saved: SavedNormal | None
    point: str
    min_shared: float
    options: dict[str, Any]

    @classmethod
    def checked(
        cls,
        model: Path,
        normal: Path | None,
        *,
        point: str,
        min_shared: float,
        **options: Any,  # noqa: ANN401
    ) -> "Finding":
        """Check what the user said of it, then read the files.

        Args:
            model: The model's file or name.
            normal: What `pydgd closest-normal` wrote; None for a search.
            point: As above.
            min_shared: As above.
            **options: Of the search.

        Raises:
            PyDGDError: If an option is not allowed or a file cannot be read.
        """
        check_point(point)
        SearchOptions(**options)
        trained = DGD.load(model)
        return cls(trained, None if normal is None else SavedNormal.read(normal), point, min_shared, options)

    def of(self, terminal: Terminal, query: CountRows, ranks: Ranks = ALONE) -> AbstractContextManager[Pairs]:
        """Closest normals of some counts, with progress; the errors are those of `search` and `recall`.

        Args:
            terminal: Where progress is shown.
            query: The counts.
            ranks: Processes that share the samples.
        """
        how: dict[str, Any] = {"min_shared": self.min_shared, "ranks": ranks}
        if self.saved is not None:
            return recall(terminal, self.model, query, saved=self.saved, **how)
        return search(terminal, self.model, query, point=self.point, **how, **self.options)


@contextmanager
def search(
    terminal: Terminal,
    model: DGD,
    counts: CountRows,
    *,
    ranks: Ranks = ALONE,
    **how: Any,  # noqa: ANN401
) -> Iterator[Pairs]:
    """Search with progress, and say at the end how well it went.

    Args:
        terminal: Where to say it.
        model: The trained model.
        counts: Of the query.
        ranks: Processes that share the samples; each gets its chunks.
        **how: Other arguments of `DGD.closest_normal_chunks`.

    Yields:
        Consecutive samples and their closest normals.

    Raises:
        PyDGDError: As `DGD.closest_normal` does.
    """
    start = time.monotonic()
    fits: list[pd.DataFrame] = []
    shared = Shared.of(counts, ranks, n_genes=max(counts.n_vars, len(model.genes)))
    with terminal.progress(_share("closest normal", ranks), "samples") as report:
        found = model.closest_normal_chunks(shared.counts, chunk_size=shared.size, progress=report, **how)
        yield _with_counts(shared.counts, found if shared.counts.n_obs else (), fits)
    fits = gathered(fits, ranks)
    if ranks.index > 0:
        return
    fit = pd.concat(fits)
    terminal.say(_summary(fit, seconds=time.monotonic() - start))
    if news := close_normal_news(fit):
        terminal.say(news)


@contextmanager
def search_file(
    terminal: Terminal,
    model: DGD,
    path: Path,
    reading: Reading,
    *,
    gene_table: Path | None,
    **how: Any,  # noqa: ANN401
) -> Iterator[Pairs]:
    """As `search`, of the counts of a file.

    Args:
        terminal: Where to say it.
        model: The trained model.
        path: Of the counts.
        reading: How they are read.
        gene_table: Brings genes to the model's names.
        **how: Other arguments of `DGD.closest_normal_chunks`.
    """
    with (
        open_named(terminal, path, reading, genes=model.genes, gene_table=gene_table) as query,
        search(terminal, model, query, **how) as pairs,
    ):
        yield pairs


@contextmanager
def recall(
    terminal: Terminal,
    model: DGD,
    counts: CountRows,
    *,
    saved: SavedNormal,
    min_shared: float,
    ranks: Ranks = ALONE,
) -> Iterator[Pairs]:
    """Take closest normals from a file, with progress.

    Args:
        terminal: Where progress is shown.
        model: The trained model.
        counts: Of the query.
        saved: What `pydgd closest-normal` wrote for it.
        min_shared: Share of the model's genes that the query must have.
        ranks: Processes that share the samples; each gets its chunks.

    Yields:
        Consecutive samples and their closest normals.

    Raises:
        PyDGDError: If the file is of another model, of other samples or of other genes.
    """
    match = match_genes(counts.labels, model.genes, min_shared=min_shared)
    saved.check(model_sha256=model.record.content_hash, sample_names=counts.obs.index, match=match)
    shared = Shared.of(counts, ranks, n_genes=max(counts.n_vars, len(model.genes)))
    with terminal.progress(_share("testing", ranks), "samples") as report:
        yield _recalled(model, shared, saved, match, report)
    if news := close_normal_news(saved.fit.loc[counts.obs.index]):
        terminal.say(news)


def _share(work: str, ranks: Ranks) -> str:
    """What progress is about: of several processes each counts its own samples."""
    return work if ranks.size == 1 else f"{work}, share of process {ranks.index + 1} of {ranks.size}"


def _with_counts(counts: CountRows, normals: Iterable[ClosestNormal], fits: list[pd.DataFrame]) -> Pairs:
    first = 0
    for normal in normals:
        fits.append(normal.fit[["dgd_nll_per_gene", "dgd_measured_share", "dgd_close_normal"]])
        last = first + len(normal.sample_names)
        yield counts.read(first, last), normal
        first = last


def _recalled(model: DGD, shared: Shared, saved: SavedNormal, match: GeneMatch, report: Progress) -> Pairs:
    counts, posterior = shared.counts, model.posterior(saved.point)
    for first, last in pairwise([*range(0, counts.n_obs, shared.size), counts.n_obs]):
        part = counts.read(first, last)
        yield part, saved.of(model.record.model, match.align(part), posterior=posterior)
        report(last, counts.n_obs)


def _summary(fit: pd.DataFrame, *, seconds: float) -> str:
    return (
        f"closest normals of {plural(len(fit), 'sample')} in {duration(seconds)}: median negative "
        f"log-likelihood {fit['dgd_nll_per_gene'].median():.2f} nats per gene; they have "
        f"{fit['dgd_measured_share'].iloc[0]:.1%} of the model's genes"
    )
