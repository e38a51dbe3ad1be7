# SPDX-License-Identifier: BSD-3-Clause
"""Numbers as text inside a page: float32 of as many digits as a reader sees, gzip, base64."""

import base64
import gzip

import numpy as np
from jaxtyping import Float, UInt32

_MANTISSA = 23


def packed(
    columns: Float[np.ndarray, "columns n"], *, bits: tuple[int, ...], edges: tuple[float, ...] | None = None
) -> str:
    """Columns of numbers as one short text, which ``data.js`` unpacks.

    Args:
        columns: Numbers; missing ones are NaN.
        bits: How many binary digits of each column's numbers to keep, 1 to 23: with k of them, a number is
            right to one part in 2^(k+1).
        edges: Of each column, a size that no number is rounded across: what is as large stays so, what is
            smaller stays smaller; NaN for none. By default no column has one.

    Returns:
        Base64 of gzip of little-endian float32, column by column; of each number first all lowest bytes, then
        all second ones and so on, as bytes of a kind compress better side by side.

    Example:
        >>> text = packed(np.array([[0.5, np.nan]]), bits=(10,))
        >>> gzip.decompress(base64.b64decode(text)).hex()
        '0000000000c03f7f'
    """
    edges = edges or (np.nan,) * len(columns)
    rounded = np.stack([_rounded(*column) for column in zip(columns, bits, edges, strict=True)])
    planes = rounded.astype("<u4").view(np.uint8).reshape(-1, 4).T
    # No time in the header: the same numbers give the same page.
    return base64.b64encode(gzip.compress(planes.tobytes(), 9, mtime=0)).decode("ascii")


def _rounded(values: Float[np.ndarray, " n"], kept: int, edge: float) -> UInt32[np.ndarray, " n"]:
    """Patterns of float32 numbers with few binary digits, each on its side of the edge."""
    patterns = np.asarray(values, dtype=np.float32).view(np.uint32)
    dropped = np.uint32(_MANTISSA - kept)
    step = np.uint32(1) << dropped
    rounded = (patterns + (step >> np.uint32(1))) >> dropped << dropped
    exact, size = np.abs(values), np.abs(rounded.view(np.float32).astype(np.float64))
    # The sign is a digit of its own: a larger pattern is a larger size.
    rounded = np.where((exact < edge) & (size >= edge), rounded - step, rounded)
    rounded = np.where((exact >= edge) & (size < edge), rounded + step, rounded)
    return np.where(np.isfinite(values), rounded, patterns).astype(np.uint32)
