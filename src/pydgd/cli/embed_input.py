# SPDX-License-Identifier: BSD-3-Clause
"""Samples to embed, out of models, results and tables. Heavy: commands import it when they run."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pydgd import DGD
from pydgd.cli.result_tables import is_annotated, read_annotated, read_rows
from pydgd.data.named import is_model_name
from pydgd.errors import NamesError
from pydgd.tl.embedding_input import table_of

_MODEL_START = b"\x00\x00\x00\x00{"


def read_samples(paths: Sequence[Path]) -> pd.DataFrame:
    """One row per sample; of several files, with the file's name in ``source``.

    Args:
        paths: Models, results of closest-normal, or tables.

    Raises:
        PyDGDError: If one cannot be read.
        NamesError: If two files have a sample of the same name.
    """
    tables = [_samples(path) for path in paths]
    if len(tables) == 1:
        return tables[0]
    named = [table.assign(source=path.name) for path, table in zip(paths, tables, strict=True)]
    together = pd.concat(named)
    if not together.index.is_unique:
        twice = together.index[together.index.duplicated()][0]
        raise NamesError(f"sample {twice!r} is in two of the files; rename it in one")
    return together


def _samples(path: Path) -> pd.DataFrame:
    if _is_model(path):
        return table_of(DGD.load(path))
    return table_of(read_annotated(path) if is_annotated(path) else read_rows(path))


def _is_model(path: Path) -> bool:
    """Whether it is a model's name or a file in the format of models: eight bytes for a length, then JSON."""
    if not path.is_file():
        return is_model_name(path)
    with path.open("rb") as stream:
        head = stream.read(9)
    return head[4:9] == _MODEL_START
