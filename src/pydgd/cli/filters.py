# SPDX-License-Identifier: BSD-3-Clause
"""Rows of a table that are wanted: the option ``--only``."""

import math
import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pydgd.data.layout import is_number
from pydgd.errors import ConfigError

COLUMNS = (
    "observed",
    "baseMean",
    "log2FoldChange",
    "lfcSE",
    "stat",
    "pvalue",
    "padj",
    "log_pvalue",
    "pvalue_nb",
    "lfdr",
    "direction",
    "r",
)
"""Columns of numbers in a table of differential expression."""

_OPERATORS: dict[str, Callable[[Any, float], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_CONDITION = re.compile(r"\s*(\w+)\s*(<=|>=|<|>)\s*(\S+)\s*")


@dataclass(frozen=True)
class Condition:
    """A bound on a column; a missing value never meets it.

    Attributes:
        column: One of `COLUMNS`.
        operator: ``<``, ``<=``, ``>`` or ``>=``.
        bound: The number.

    Example:
        >>> Condition.parse("padj<0.1")
        Condition(column='padj', operator='<', bound=0.1)
    """

    column: str
    operator: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Read a condition.

        Args:
            text: Such as ``padj<0.1``.

        Raises:
            ConfigError: If it cannot be read or there is no such column.
        """
        found = _CONDITION.fullmatch(text)
        if not found:
            raise ConfigError(
                f"cannot read --only {text!r}; write a column, <, <=, > or >=, and a number: 'padj<0.1'"
            )
        column, sign, bound = found.groups()
        if column not in COLUMNS:
            raise ConfigError(f"--only {text!r}: no column {column!r}; there is {', '.join(COLUMNS)}")
        if not is_number(bound) or math.isnan(float(bound)):
            raise ConfigError(f"--only {text!r}: {bound!r} is not a number")
        return cls(column, sign, float(bound))


def rows_that_meet(table: pd.DataFrame, conditions: Iterable[Condition]) -> pd.DataFrame:
    """The rows that meet every condition.

    Args:
        table: Of differential expression.
        conditions: None or more.
    """
    for condition in conditions:
        table = table[_OPERATORS[condition.operator](table[condition.column], condition.bound)]
    return table
