# SPDX-License-Identifier: BSD-3-Clause
"""Projects of recount3 as files. Heavy: `pydgd recount3` imports it when it runs."""

from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData

from pydgd.cli.download_options import downloads
from pydgd.cli.outputs import Announcement, check_output
from pydgd.cli.recount3 import COUNTS
from pydgd.cli.tables import write_table
from pydgd.cli.terminal import Terminal
from pydgd.data.h5ad_writer import write_h5ad
from pydgd.data.recount3 import MIRROR, Files, Project, Request, fetch_files, read_batches
from pydgd.errors import ConfigError, DownloadError, PyDGDError
from pydgd.files import make_folder


def run_one(
    terminal: Terminal,
    names: tuple[str, str, str],
    output: Path,
    metadata: Path | None,
    *,
    annotation: str,
    mirror: str | None,
    coverage: bool,
    query: str,
    keep: list[str] | None,
    drop: list[str] | None,
    **options: Any,  # noqa: ANN401  # of `DOWNLOAD_OPTIONS`
) -> None:
    """Fetch one project and write it.

    Args:
        terminal: Where to say what was written.
        names: Source, project and organism.
        output: File of the counts.
        metadata: File of the metadata, if they are wanted apart.
        annotation: Which sums.
        mirror: Another server, or None.
        coverage: Whether to keep the coverage.
        query: Which samples.
        keep: Columns of metadata to keep.
        drop: Columns to drop.
        options: How files are fetched.
    """
    project = Project.of(names[0], names[1], organism=names[2])
    request = Request(project, annotation, query, _names(keep), _names(drop))
    (files,) = _fetch(terminal, [request], mirror, options)
    if isinstance(files, DownloadError):
        raise files
    _write(terminal, files, output, metadata, coverage=coverage)


def run_batches(
    terminal: Terminal,
    path: Path,
    folder: Path,
    suffix: str,
    *,
    annotation: str,
    mirror: str | None,
    coverage: bool,
    **options: Any,  # noqa: ANN401  # of `RECOUNT3_OPTIONS`
) -> None:
    """Fetch the projects of a samplesheet and write each as ``<source>_<project>``.

    One that fails stops no other.

    Args:
        terminal: Where to say what was written.
        path: The samplesheet.
        folder: To write into.
        suffix: Ending of the files.
        annotation: Which sums, where the samplesheet does not say.
        mirror: Another server, or None.
        coverage: Whether to keep the coverage.
        options: How files are fetched.
    """
    if suffix not in COUNTS:
        raise ConfigError(f"unknown --format {suffix.removeprefix('.')!r}; give one of {', '.join(COUNTS)}")
    requests = read_batches(path, annotation=annotation)
    make_folder(folder)
    options = {name: value for name, value in options.items() if name not in ("query", "keep", "drop")}
    failed: list[PyDGDError] = []
    for request, files in zip(requests, _fetch(terminal, requests, mirror, options), strict=True):
        stem = f"{request.project.source}_{request.project.name}"
        table = None if suffix == ".h5ad" else folder / f"{stem}_metadata{suffix}"
        try:
            if isinstance(files, DownloadError):
                raise files
            _write(terminal, files, folder / f"{stem}{suffix}", table, coverage=coverage)
        except PyDGDError as error:
            terminal.say(f"{request.project}: {error}")
            failed.append(error)
    if failed:
        raise type(failed[0])(f"{len(failed)} of {len(requests)} projects failed; the first: {failed[0]}")


def _fetch(
    terminal: Terminal, requests: list[Request], mirror: str | None, options: dict[str, Any]
) -> list[Files | DownloadError]:
    with terminal.progress("fetching", "files") as report:
        return fetch_files(
            requests,
            mirror=mirror or MIRROR,
            downloads=downloads("recount3", **options),
            progress=report,
        )


def _write(terminal: Terminal, files: Files, output: Path, metadata: Path | None, *, coverage: bool) -> None:
    suffix = check_output(output, COUNTS)
    adata = files.counts(coverage=coverage and suffix == ".h5ad")
    news = Announcement(output)
    if suffix == ".h5ad":
        write_h5ad(adata.copy(), output, compression="gzip")
    else:
        write_table(_wide(adata), output)
    news.say(terminal, f"{adata.n_obs:,} samples x {adata.n_vars:,} genes")
    if metadata is not None:
        news = Announcement(metadata)
        write_table(adata.obs.rename_axis("sample").reset_index(), metadata)
        news.say(terminal, f"{adata.n_obs:,} samples x {adata.obs.shape[1]:,} columns")


def _wide(adata: AnnData) -> pd.DataFrame:
    """Genes × samples: few columns and many rows, which is what text and Parquet are good at."""
    table = pd.DataFrame(adata.X.T, columns=adata.obs_names)
    table.insert(0, "gene", adata.var_names.to_numpy())
    return table


def _names(given: list[str] | None) -> tuple[str, ...]:
    return tuple(name for text in given or [] for name in text.split("|") if name)
