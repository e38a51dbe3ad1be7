# SPDX-License-Identifier: BSD-3-Clause
"""Which gene a transcript belongs to."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pydgd.data.delimited import text_stream
from pydgd.data.formats import OPENERS, detect_format
from pydgd.errors import ConfigError, FileFormatError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class GeneOf:
    """The genes of some transcripts.

    Attributes:
        names: Of the genes, in the order of their first transcript.
        known: Numbers of the transcripts with a gene.
        places: For each of these, the number of its gene.
    """

    names: list[str]
    known: NDArray[np.intp]
    places: NDArray[np.intp]


def gene_of(transcripts: Sequence[str], table: Path | None, path: Path) -> GeneOf:
    """Find the genes of transcripts.

    Args:
        transcripts: Names. GENCODE's (``ENST…|ENSG…|…``) bear their gene themselves.
        table: Two columns of text: transcript, gene; a header does not matter. Versions are ignored if no
            transcript is found otherwise.
        path: The file that the transcripts are from, for messages.

    Raises:
        ConfigError: If there is no table, or fewer than half of the transcripts are in it.
        FileFormatError: If the table is none.
    """
    genes = _of_gencode(transcripts) if table is None else _of_table(transcripts, table)
    if genes is None:
        raise ConfigError(
            f"{path}: counts of transcripts (e.g. {transcripts[0]!r}), which need a table of transcripts "
            "and genes: --tx2gene TABLE (tx2gene= in Python), two columns, of the same annotation"
        )
    found = np.flatnonzero(genes != "")
    if 2 * found.size < len(transcripts):
        raise ConfigError(
            f"{path}: only {found.size:,} of {len(transcripts):,} transcripts (e.g. {transcripts[0]!r}) "
            f"are in {table}; give the table of the annotation that they were quantified with"
        )
    if found.size < len(transcripts):
        _log.warning(
            "%s: %d of %d transcripts have no gene", path, len(transcripts) - found.size, len(transcripts)
        )
    places, names = pd.factorize(genes[found])
    return GeneOf(names.tolist(), found, places)


def _of_gencode(transcripts: Sequence[str]) -> NDArray[Any] | None:
    fields = [name.split("|", 2) for name in transcripts]
    if not all(len(parts) == 3 for parts in fields):
        return None
    return np.array([parts[1] for parts in fields], dtype=object)


def _of_table(transcripts: Sequence[str], path: Path) -> NDArray[Any]:
    pairs = _pairs(path)
    names = pd.Index(transcripts)
    known = pd.Series(
        [gene for _, gene in pairs], index=[transcript for transcript, _ in pairs], dtype=object
    )
    if not names.isin(known.index).any():
        names, known.index = (index.str.replace(r"\.\d+$", "", regex=True) for index in (names, known.index))
    swapped = known.str.replace(r"\.\d+$", "", regex=True)
    if not names.isin(known.index).any() and names.isin(swapped).any():
        raise FileFormatError(
            f"{path}: the first column must be the transcript and the second its gene, but they are the "
            "other way round; swap them"
        )
    known = _one_gene_each(known, path)
    return np.asarray(known.reindex(names).fillna("").to_numpy())


def _one_gene_each(known: pd.Series, path: Path) -> pd.Series:
    pairs = known.reset_index().drop_duplicates().set_index("index")[0]
    repeated = pairs.index[pairs.index.duplicated()]
    if len(repeated):
        raise FileFormatError(
            f"{path}: transcript {repeated[0]!r} is said to be of several genes "
            f"({', '.join(pairs[[repeated[0]]].head(3))}); keep one line for each transcript"
        )
    return pairs


def _pairs(path: Path) -> list[tuple[str, str]]:
    kind = detect_format(path)
    if kind not in OPENERS:
        raise FileFormatError(
            f"{path}: a table of transcripts and genes is text in two columns; write it as TSV"
        )
    with text_stream(path, kind) as stream:
        lines = [line.rstrip("\n") for line in stream if line.strip()]
    separator = "\t" if "\t" in lines[0] else "," if "," in lines[0] else None
    pairs = []
    for number, line in enumerate(lines, 1):
        fields = [field.strip().strip('"') for field in line.split(separator)]
        if len(fields) < 2 or not fields[0]:
            raise FileFormatError(
                f"{path}: line {number} ({line[:30]!r}) has no two fields, transcript and gene; write it "
                "again"
            )
        pairs.append((fields[0], fields[1]))
    return pairs
