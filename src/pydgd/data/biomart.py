# SPDX-License-Identifier: BSD-3-Clause
"""Facts about genes from Ensembl's BioMart.

Source:
    BioMart's XML queries as Ensembl describes them (Kinsella et al. 2011, Database bar030): one query with
    a dataset, filters and attributes; the answer is text, whose last line says [success] if it is complete.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import pandas as pd

from pydgd.data.download import Downloads, Wanted
from pydgd.data.download_answers import Damaged
from pydgd.data.download_cache import cache_folder
from pydgd.data.strict_csv import read_strict
from pydgd.errors import ConfigError, FileFormatError

ENSEMBL = "https://www.ensembl.org/biomart/martservice"
"""Ensembl's own server, with its present release; archives have addresses of their own."""

DATASETS = {"human": "hsapiens_gene_ensembl", "mouse": "mmusculus_gene_ensembl"}

_IDENTITY = (
    "ensembl_gene_id",
    "ensembl_gene_id_version",
    "version",
    "external_gene_name",
    "external_gene_source",
)
_FACTS = (
    *(
        "external_synonym",
        "description",
        "gene_biotype",
        "source",
        "transcript_count",
        "percentage_gene_gc_content",
    ),
    *("chromosome_name", "start_position", "end_position", "strand", "band"),
)
# BioMart takes up to three references to other databases in one query.
ATTRIBUTES = {
    "human": (*_IDENTITY, *_FACTS, "hgnc_id", "hgnc_symbol", "entrezgene_id"),
    "mouse": (*_IDENTITY, *_FACTS, "mgi_id", "mgi_symbol", "entrezgene_id"),
}
"""What is asked for by default: names in every kind, and what `var` usually holds."""

FILTERS: Mapping[str, tuple[str, ...]] = {
    "biotype": ("protein_coding",),
    "transcript_biotype": ("protein_coding",),
}
"""Genes that are asked for by default: those that code for proteins and have a transcript that does."""

GENE_ID = "ensembl_gene_id"
_SUCCESS = b"[success]"


@dataclass(frozen=True)
class GeneQuery:
    """What is asked of BioMart.

    Attributes:
        dataset: Name of a dataset, e.g. one of `DATASETS`.
        attributes: Columns of the answer; ``ensembl_gene_id`` is added if it lacks.
        filters: Name of a filter → values, of which a gene must have one; "only" or "excluded" for a filter
            that takes no values (``with_hgnc``).
    """

    dataset: str = DATASETS["human"]
    attributes: Sequence[str] = ATTRIBUTES["human"]
    filters: Mapping[str, Sequence[str]] = field(default_factory=lambda: dict(FILTERS))

    def columns(self) -> list[str]:
        """Attributes in the order of the answer."""
        return list(dict.fromkeys([GENE_ID, *self.attributes]))

    def xml(self) -> str:
        """The query as BioMart takes it.

        Example:
            >>> GeneQuery(attributes=["hgnc_symbol"], filters={"chromosome_name": ["X", "Y"]}).xml()
            '<?xml ...<Filter name="chromosome_name" value="X,Y" />...<Attribute name="hgnc_symbol" />...'
        """
        query = ET.Element(
            "Query",
            virtualSchemaName="default",
            formatter="TSV",
            header="0",
            uniqueRows="1",
            count="",
            datasetConfigVersion="0.6",
            completionStamp="1",
        )
        dataset = ET.SubElement(query, "Dataset", name=self.dataset, interface="default")
        for name, values in self.filters.items():
            ET.SubElement(dataset, "Filter", {"name": name, **_condition(values)})
        for name in self.columns():
            ET.SubElement(dataset, "Attribute", name=name)
        body = ET.tostring(query, encoding="unicode")
        return f'<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE Query>{body}'


def fetch_genes(
    query: GeneQuery | None = None, *, server: str = ENSEMBL, downloads: Downloads | None = None
) -> pd.DataFrame:
    """Ask BioMart for facts about genes; an answer is kept, and given again to the same question.

    Args:
        query: The question.
        server: Address of a BioMart service.
        downloads: How it is fetched and where it is kept; `refresh` asks anew.

    Returns:
        One row per combination of attributes (a gene with two synonyms has two), as text, "" for none.

    Raises:
        ConfigError: If BioMart refuses the question, e.g. knows no such attribute.
        DownloadError: If there is no complete answer.
    """
    asked = GeneQuery() if query is None else query
    how = Downloads(cache_folder() / "biomart") if downloads is None else downloads
    form = urlencode({"query": asked.xml()}).encode()
    path = how.fetch(Wanted(server, _check, form))
    assert path is not None
    body = path.read_bytes().rstrip().removesuffix(_SUCCESS).decode("utf-8", "replace")
    try:
        return read_strict(
            StringIO(body),
            "\t",
            names=asked.columns(),
            dtype=str,
            keep_default_na=False,
            quoting=csv.QUOTE_NONE,
        )
    except ValueError as error:
        raise FileFormatError(
            f"BioMart's answer in {path} is no table ({error}); delete it and ask again"
        ) from error


def _condition(values: Sequence[str]) -> dict[str, str]:
    if list(values) in (["only"], ["excluded"]):
        return {"excluded": "0" if list(values) == ["only"] else "1"}
    return {"value": ",".join(map(str, values))}


def _check(path: Path) -> None:
    """An answer is complete if its last line says so; a refusal is text, too."""
    body = path.read_bytes().rstrip()
    if b"Query ERROR" in body[:2000]:
        reason = " ".join(body[:500].decode("utf-8", "replace").split())
        raise ConfigError(
            f"BioMart refuses the query ({reason}); correct the attribute, filter or dataset it names"
        )
    if not body.endswith(_SUCCESS):
        what = "a web page, not a table" if body[:1] == b"<" else "an answer that breaks off"
        raise Damaged(f"BioMart sends {what}")
