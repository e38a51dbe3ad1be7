# SPDX-License-Identifier: BSD-3-Clause
"""Tables of text by pandas, of which no field gets lost."""

import warnings
from io import BytesIO, TextIOBase
from typing import Any

import pandas as pd


def read_strict(stream: TextIOBase | BytesIO, separator: str, **options: Any) -> pd.DataFrame:  # noqa: ANN401  # pandas's
    r"""Read a table; a line with more fields than the header is an error, not cut.

    Args:
        stream: The text.
        separator: Between fields.
        options: Of `pandas.read_csv`.

    Raises:
        ValueError: If it is no table, with pandas's reason.

    Example:
        >>> import io
        >>> read_strict(io.StringIO("a\tb\n1\t2\n"), "\t").shape
        (1, 2)
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            table: pd.DataFrame = pd.read_csv(stream, sep=separator, index_col=False, **options)
        except pd.errors.ParserWarning as error:
            raise ValueError("a line has more fields than the header") from error
    return table
