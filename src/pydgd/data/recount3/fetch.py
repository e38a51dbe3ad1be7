# SPDX-License-Identifier: BSD-3-Clause
"""Read counts of recount3's projects, with their metadata."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from pydgd.data.download import Downloads, Wanted
from pydgd.data.download_answers import check_gzip
from pydgd.data.download_cache import cache_folder, checksum
from pydgd.data.recount3 import filters
from pydgd.data.recount3.layout import METADATA, MIRROR, QC, Project, annotation_code
from pydgd.data.recount3.metadata import join_metadata, read_metadata
from pydgd.data.recount3.sums import read_gene_sums
from pydgd.errors import DownloadError, FileFormatError
from pydgd.words import plural

_log = logging.getLogger(__name__)

MAPPED_LENGTH = f"{QC}.star.average_mapped_length"
_SUMS = "gene_sums"
# Of older or smaller projects some of these were never made.
_OPTIONAL = frozenset({"recount_seq_qc", "recount_pred"})


@dataclass(frozen=True)
class Request:
    """What is wanted of one project.

    Attributes:
        project: The project.
        annotation: As `annotation_code` takes it.
        query: Which samples, as `pandas.DataFrame.query` understands it; "" for all.
        keep: Columns of metadata to keep; none means all.
        drop: Columns to drop from these.
    """

    project: Project
    annotation: str = "gencode_v29"
    query: str = ""
    keep: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()

    def paths(self) -> dict[str, str]:
        """Paths below the mirror's address by what they hold."""
        tables = {name: self.project.metadata(name) for name in (self.project.source, *METADATA)}
        return {_SUMS: self.project.gene_sums(annotation_code(self.annotation)), **tables}


@dataclass(frozen=True, eq=False)
class Files:
    """Files of one project on the disk.

    Attributes:
        request: What was wanted.
        mirror: Where they came from.
        places: Place of each by what it holds; optional tables that are not there are left out.
    """

    request: Request
    mirror: str
    places: dict[str, Path] = field(default_factory=dict)

    def metadata(self) -> pd.DataFrame:
        """All metadata of all samples.

        Raises:
            FileFormatError: If a table is none.
        """
        return join_metadata(
            {name: read_metadata(path) for name, path in self.places.items() if name != _SUMS}
        )

    def counts(self, *, coverage: bool = False) -> AnnData:
        """Read counts of the samples that are wanted, with their metadata.

        Args:
            coverage: Keep the sums of base coverage, which are **no counts**, beside the reads, in
                ``layers["coverage"]``.

        Returns:
            Reads in X (int32), metadata in `obs`, where it all comes from in ``uns["recount3"]``. Samples
            without a mapped read are left out with a warning.

        Raises:
            FileFormatError: If a file is not what it should be.
            ConfigError: If the query cannot be evaluated or leaves nothing.
        """
        metadata = self.metadata()
        chosen = filters.query(metadata, self.request.query) if self.request.query else metadata
        chosen = self._mapped(chosen)
        sums = read_gene_sums(self.places[_SUMS], chosen.index.tolist())
        lengths = chosen[MAPPED_LENGTH].to_numpy(dtype=np.float64)
        reads = sums.reads(lengths)
        obs = filters.columns(chosen, keep=self.request.keep, drop=self.request.drop)
        adata = AnnData(reads, obs=_storable(obs), var=pd.DataFrame(index=pd.Index(sums.genes)))
        if coverage:
            adata.layers["coverage"] = sums.coverage
        adata.uns["recount3"] = self._provenance()
        return adata[reads.any(axis=1)].copy() if not reads.any(axis=1).all() else adata

    def _mapped(self, metadata: pd.DataFrame) -> pd.DataFrame:
        if MAPPED_LENGTH not in metadata:
            raise FileFormatError(
                f"{self.places[QC]}: lacks the column star.average_mapped_length, without which coverage "
                "cannot be turned into reads; delete the file and run again"
            )
        mapped = pd.to_numeric(metadata[MAPPED_LENGTH], errors="coerce") > 0
        if not mapped.all():
            left_out = metadata.index[~mapped]
            _log.warning(
                "%s: %s without mapped reads left out (first: %s)",
                self.request.project,
                plural(len(left_out), "sample"),
                left_out[0],
            )
        if not mapped.any():
            raise FileFormatError(f"{self.request.project}: no sample has mapped reads; choose others")
        return metadata[mapped]

    def _provenance(self) -> dict[str, object]:
        project = self.request.project
        return {
            "source": project.source,
            "project": project.name,
            "organism": project.organism,
            "annotation": annotation_code(self.request.annotation),
            "mirror": self.mirror,
            "query": self.request.query,
            "reads": "rint(base coverage / recount_qc.star.average_mapped_length)",
            "sha256": {name: checksum(path) for name, path in self.places.items()},
        }


def fetch_files(
    requests: Sequence[Request],
    *,
    mirror: str = MIRROR,
    downloads: Downloads | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Files | DownloadError]:
    """Have the files of several projects, several at a time.

    Args:
        requests: What is wanted.
        mirror: Address of a server with recount3's layout.
        downloads: How files are fetched and where they are kept.
        progress: Called with the number of files done and in all.

    Returns:
        For each request its files, or why they cannot be had.
    """
    how = Downloads(cache_folder() / "recount3") if downloads is None else downloads
    base = mirror.rstrip("/")
    wanted = [
        {
            name: Wanted(f"{base}/{path}", check_gzip, optional=name in _OPTIONAL)
            for name, path in request.paths().items()
        }
        for request in requests
    ]
    answers = how.fetch_all([file for files in wanted for file in files.values()], progress)
    found: list[Files | DownloadError] = []
    for request, files in zip(requests, wanted, strict=True):
        parts, answers = answers[: len(files)], answers[len(files) :]
        failed = next((part for part in parts if isinstance(part, DownloadError)), None)
        places = {name: part for name, part in zip(files, parts, strict=True) if isinstance(part, Path)}
        found.append(failed or Files(request, base, places))
    return found


def fetch_recount3(
    source: str,
    project: str,
    *,
    annotation: str = "gencode_v29",
    query: str = "",
    organism: str = "human",
    mirror: str = MIRROR,
    coverage: bool = False,
    downloads: Downloads | None = None,
) -> AnnData:
    """Read counts of one project of recount3, with its metadata in `obs`.

    Args:
        source: ``"gtex"``, ``"tcga"`` or ``"sra"``.
        project: Tissue, cancer or study.
        annotation: ``"gencode_v29"``, ``"gencode_v26"``, another one, or its code in file names.
        query: Which samples, by their metadata.
        organism: ``"human"`` or ``"mouse"``.
        mirror: Address of a server with recount3's layout.
        coverage: Keep the sums of base coverage in ``layers["coverage"]``.
        downloads: How files are fetched and where they are kept.

    Raises:
        DownloadError: If a file cannot be had.
        FileFormatError: If a file is not what it should be.
        ConfigError: If there can be no such project, or the query leaves nothing.
    """
    request = Request(Project.of(source, project, organism=organism), annotation, query)
    (files,) = fetch_files([request], mirror=mirror, downloads=downloads)
    if isinstance(files, DownloadError):
        raise files
    return files.counts(coverage=coverage)


def _storable(obs: pd.DataFrame) -> pd.DataFrame:
    """Columns that h5ad can hold: text where types are mixed, nothing where all is missing."""
    plain = obs.dropna(axis=1, how="all").copy()
    for name in plain.select_dtypes(object).columns:
        plain[name] = plain[name].astype("string").astype(object).where(plain[name].notna(), None)
    # HDF5 takes a slash for a folder.
    plain.columns = [str(name).replace("/", "_") for name in plain.columns]
    plain.index = plain.index.astype(str)
    plain.index.name = None
    return plain
