# SPDX-License-Identifier: BSD-3-Clause
"""Samplesheets: several projects in one CSV or YAML file."""

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pydgd.data.recount3.fetch import Request
from pydgd.data.recount3.layout import Project
from pydgd.errors import ConfigError, FileFormatError

# Our names first, then bulkdgd's without "input_" and "recount3_".
_FIELDS = {
    "source": ("source", "project_name"),
    "project": ("project", "samples_category", "category"),
    "annotation": ("annotation", "gencode_release"),
    "query": ("query", "query_string"),
    "keep": ("keep", "metadata_to_keep"),
    "drop": ("drop", "metadata_to_drop"),
    "organism": ("organism",),
}


def read_batches(path: Path, *, annotation: str = "gencode_v29") -> list[Request]:
    """Read a samplesheet.

    Each row of a CSV, or entry of a YAML list, has ``source`` and ``project`` and may have ``annotation``,
    ``query`` (or the path of a .txt file with it), ``keep`` and ``drop`` (columns of metadata; in a CSV
    joined by ``|``; ``_all_`` is all) and ``organism``. bulkdgd's names of the columns are understood too.

    Args:
        path: The file; what does not end in .csv is YAML. A YAML mapping has its entries' names as keys.
        annotation: Where an entry has none.

    Raises:
        FileFormatError: If it cannot be read.
        ConfigError: If an entry is incomplete, holds what is unknown, or comes twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path}: cannot be read as a samplesheet ({error}); check the path") from error
    rows = _csv_rows(text) if path.suffix.lower() == ".csv" else _yaml_rows(text, path)
    if not rows:
        raise ConfigError(f"{path}: lists no project; give at least one with source and project")
    requests = [_request(row, f"{path}: {name}", path.parent, annotation) for name, row in rows.items()]
    repeated = {str(r.project) for r in requests if [q.project for q in requests].count(r.project) > 1}
    if repeated:
        raise ConfigError(f"{path}: {sorted(repeated)[0]} comes more than once; join its queries with 'or'")
    return requests


def _csv_rows(text: str) -> dict[str, Mapping[str, Any]]:
    rows = csv.DictReader(text.splitlines(), skipinitialspace=True)
    return {f"row {number}": row for number, row in enumerate(rows, 1)}


def _yaml_rows(text: str, path: Path) -> dict[str, Mapping[str, Any]]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise FileFormatError(
            f"{path}: no valid YAML ({' '.join(str(error).split())[:200]}); correct it"
        ) from error
    entries = (
        found.items()
        if isinstance(found, dict)
        else enumerate(found if isinstance(found, list) else [found], 1)
    )
    rows = {f"entry {name}": row for name, row in entries}
    for name, row in rows.items():
        if not isinstance(row, dict):
            raise ConfigError(f"{path}: {name} is {row!r}; give a mapping with source and project")
    return rows


def _request(row: Mapping[Any, Any], place: str, folder: Path, annotation: str) -> Request:
    values = _known(row, place)
    for needed in ("source", "project"):
        if not values.get(needed):
            raise ConfigError(f"{place} lacks {needed}; give source (gtex, tcga, sra) and project")
    try:
        project = Project.of(values["source"], values["project"], organism=values.get("organism") or "human")
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error
    return Request(
        project,
        values.get("annotation") or annotation,
        _query(values.get("query", ""), place, folder),
        _names(values.get("keep", "")),
        _names(values.get("drop", "")),
    )


def _known(row: Mapping[Any, Any], place: str) -> dict[str, str]:
    """Values by our names."""
    values: dict[str, str] = {}
    for header, value in row.items():
        plain = re.sub(r"^(input|recount3)_", "", str(header).strip().lower())
        name = next((name for name, headers in _FIELDS.items() if plain in headers), None)
        if name is None:
            raise ConfigError(f"{place} has {header!r}, which is unknown; there is {', '.join(_FIELDS)}")
        text = "|".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
        values[name] = text.strip()
    return values


def _query(text: str, place: str, folder: Path) -> str:
    if not text.endswith(".txt"):
        return text
    try:
        return " ".join((folder / text).read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{place}: the query's file {folder / text} cannot be read; check its path"
        ) from error


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split("|") if name.strip())
