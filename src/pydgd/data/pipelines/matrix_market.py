# SPDX-License-Identifier: BSD-3-Clause
"""Folders with a sparse matrix, its genes and its samples, as Cell Ranger and STARsolo write them."""

import logging
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from pydgd.data.counts import Parts
from pydgd.data.delimited import text_stream
from pydgd.data.formats import OPENERS, UNPACK_ERRORS, damaged, detect_format
from pydgd.data.strict_csv import read_strict
from pydgd.errors import CountsError, FileFormatError

_log = logging.getLogger(__name__)

_MATRIX = re.compile(r"(.*[._-])?matrix\.mtx(\.gz|\.bz2)?")
_GENES = re.compile(r"(.*[._-])?(features|genes)\.tsv(\.gz|\.xz|\.bz2)?")
_SAMPLES = re.compile(r"(.*[._-])?barcodes\.tsv(\.gz|\.xz|\.bz2)?")
_EXPRESSION = "Gene Expression"
_COMMENTS = re.compile(rb"(?:\s*%.*\n)*")


def is_mtx_folder(path: Path) -> bool:
    """Whether a folder holds a matrix in MatrixMarket format.

    Args:
        path: A folder.
    """
    return any(_MATRIX.fullmatch(file.name) for file in path.iterdir())


def read_mtx_folder(path: Path) -> Parts:
    """Read matrix.mtx, features.tsv (genes.tsv in version 2) and barcodes.tsv, packed or not.

    Genes are called by the first column of features.tsv, their ids; `var` keeps the second as ``symbol``.
    Features of other types than gene expression are left out.

    Args:
        path: The folder.

    Returns:
        Samples × genes, sparse.

    Raises:
        FileFormatError: If a file is missing, damaged, or of another size than the matrix.
        CountsError: If a number is none.
    """
    matrix = _matrix(_one(path, _MATRIX, "matrix.mtx"))
    features = _columns(_one(path, _GENES, "features.tsv (or genes.tsv)"), matrix.shape[0], "rows")
    samples = _columns(_one(path, _SAMPLES, "barcodes.tsv"), matrix.shape[1], "columns")
    var = pd.DataFrame(index=pd.Index([row[0] for row in features], dtype=object))
    if all(len(row) > 1 for row in features):
        var["symbol"] = [row[1] for row in features]
    kept = np.array([len(row) < 3 or row[2] == _EXPRESSION for row in features])
    if not kept.all():
        _log.info("%s: %d features that are not genes left out", path, int((~kept).sum()))
    return Parts(
        sparse.csr_matrix(matrix.T.tocsr()[:, kept]),
        pd.DataFrame(index=pd.Index([row[0] for row in samples], dtype=object)),
        var[kept],
    )


def _one(folder: Path, pattern: re.Pattern[str], what: str) -> Path:
    found = sorted(file for file in folder.iterdir() if pattern.fullmatch(file.name))
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise FileFormatError(
            f"{folder}: a folder with matrix.mtx needs just one {what}, found {names}; put the three "
            "files of one matrix into a folder of their own"
        )
    return found[0]


def _matrix(path: Path) -> Any:  # noqa: ANN401  # scipy's COO matrix
    kind = detect_format(path)
    raw = _bytes(path, kind)
    _check_numbers(raw, path)
    words = raw.partition(b"\n")[0].decode(errors="replace").lower().split()
    if words[:3] == ["%%matrixmarket", "matrix", "array"]:
        raise FileFormatError(
            f"{path}: a dense (array) matrix, where a sparse one (coordinate) is expected; write it with "
            "scipy.io.mmwrite of a sparse matrix"
        )
    try:
        return _coordinates(raw, words)
    except (ValueError, OverflowError) as error:
        raise damaged(path, kind, error) from error


def _coordinates(raw: bytes, words: list[str]) -> Any:  # noqa: ANN401  # scipy's COO matrix
    """The matrix, or ValueError. scipy.io.mmread reads beyond the text where a field is missing."""
    kinds = {"integer": np.int64, "unsigned-integer": np.int64, "real": np.float64, "double": np.float64}
    if words[:3] != ["%%matrixmarket", "matrix", "coordinate"] or (words[3:4] and words[3] not in kinds):
        raise ValueError(f"the first line {' '.join(words)[:80]!r} is not that of a sparse matrix of numbers")
    if words[4:] != ["general"]:
        raise ValueError("genes and samples make no symmetric matrix")
    comments = re.match(_COMMENTS, raw)
    size, _, body = raw[comments.end() if comments else 0 :].partition(b"\n")
    if len(sizes := size.split()) != 3:
        raise ValueError(
            f"the line of the size has {len(sizes)} fields where rows, columns and counts are expected"
        )
    n_rows, n_columns, n_stored = map(int, sizes)
    names = {"row": np.int64, "column": np.int64, "value": kinds[words[3]]}
    table = read_strict(BytesIO(body), r"\s+", names=list(names), dtype=names, header=None)
    if len(table) != n_stored:
        raise ValueError(f"{len(table):,} lines where the size says {n_stored:,}")
    places = (table["row"].to_numpy() - 1, table["column"].to_numpy() - 1)
    return sparse.coo_matrix((table["value"].to_numpy(), places), shape=(n_rows, n_columns))


def _bytes(path: Path, kind: str) -> bytes:
    if kind not in OPENERS:
        raise FileFormatError(
            f"{path}: expected a matrix in MatrixMarket format, which is text; write it again"
        )
    try:
        with OPENERS[kind](path) as stream:
            return bytes(stream.read())
    except UNPACK_ERRORS as error:
        raise damaged(path, kind, error) from error


def _check_numbers(raw: bytes, path: Path) -> None:
    """Refuse letters among numbers: SciPy reads 12a, and 12.5 in a matrix of integers, as 12."""
    first, _, body = raw.partition(b"\n")
    allowed = b"0123456789+- \t\r\n" + (b"" if b"integer" in first.lower() else b".eE")
    comments = re.match(_COMMENTS, body)
    numbers = body[comments.end() if comments else 0 :]
    if numbers.translate(None, allowed):
        bad = next(line for line in numbers.splitlines() if line.translate(None, allowed))
        raise CountsError(
            f"{path}: the line {bad.decode(errors='replace')[:40]!r} is not a number in a matrix of "
            f"{'integers' if b'integer' in first.lower() else 'numbers'}; copy, download or write the "
            "file again"
        )


def _columns(path: Path, n_expected: int, side: str) -> list[list[str]]:
    kind = detect_format(path)
    if kind not in OPENERS:
        raise FileFormatError(f"{path}: expected names, one a line; write it again as text")
    with text_stream(path, kind) as stream:
        rows = [line.split("\t") for line in stream.read().rstrip("\n").split("\n")]
    if len(rows) != n_expected:
        raise FileFormatError(
            f"{path}: {len(rows):,} names where the matrix has {n_expected:,} {side}; the files are not "
            "of one matrix, or one is truncated: copy all three again"
        )
    return rows
