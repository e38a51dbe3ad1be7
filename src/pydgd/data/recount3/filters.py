# SPDX-License-Identifier: BSD-3-Clause
"""Which samples of a project are wanted, and which columns of their metadata."""

import difflib
import re
from collections.abc import Sequence

import pandas as pd

from pydgd.errors import ConfigError

ALL = "_all_"
"""Stands for every column."""

_TOKEN = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|[A-Za-z_][\w.]*")
_ATTRIBUTE = re.compile(r"\.\s*([A-Za-z_]\w*)")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
# A table's other methods write files, or run what they are given.
_OF_TEXT = {"str", "contains", "startswith", "endswith", "match", "fullmatch", "lower", "upper", "strip"}
_ALLOWED = _OF_TEXT | {"isna", "notna", "isnull", "notnull", "isin", "between"}
_WORDS = frozenset({"and", "or", "not", "in", "is", "true", "false", "none", "nan"})


def query(metadata: pd.DataFrame, expression: str) -> pd.DataFrame:
    """The samples that meet a condition, which pandas evaluates (`DataFrame.query`).

    Args:
        metadata: Samples × columns.
        expression: E.g. ``gtex.smtsd == "Bladder"``. Columns may be written without their table where that
            is clear, and in any capitals; other than to pandas, dots in their names need no backticks.

    Raises:
        ConfigError: If it cannot be evaluated, or no sample meets it.
    """
    try:
        # Without names from outside, an @ finds nothing.
        chosen = metadata.query(
            _harmless(_with_backticks(metadata, expression)), local_dict={}, global_dict={}
        )
    # pandas evaluates what the user wrote, and anything can be wrong with that.
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"cannot evaluate the query {expression!r} ({reason}); write e.g. gtex.smtsd == 'Bladder' with "
            f"columns of the metadata: {_some(metadata)}"
        ) from error
    if not len(chosen):
        raise ConfigError(f"none of the {len(metadata)} samples meets the query {expression!r}; loosen it")
    return chosen


def columns(metadata: pd.DataFrame, *, keep: Sequence[str], drop: Sequence[str]) -> pd.DataFrame:
    """Some of the columns.

    Args:
        metadata: Samples × columns.
        keep: Columns to keep, `ALL` for every one; none means all.
        drop: Columns to drop from these, `ALL` for every one.

    Raises:
        ConfigError: If there is no such column.
    """
    kept = list(metadata.columns) if not keep or ALL in keep else [_column(metadata, name) for name in keep]
    dropped = set(kept) if ALL in drop else {_column(metadata, name) for name in drop}
    return metadata[[name for name in dict.fromkeys(kept) if name not in dropped]]


def _harmless(expression: str) -> str:
    """The expression, if it calls nothing but comparisons of values: samplesheets come from anywhere.

    Raises:
        ValueError: If it names another attribute or method.
    """
    for name in _ATTRIBUTE.findall(_QUOTED.sub("", expression)):
        if name not in _ALLOWED:
            raise ValueError(f"{name!r} is not allowed, only {', '.join(sorted(_ALLOWED - {'str'}))}")
    return expression


def _with_backticks(metadata: pd.DataFrame, expression: str) -> str:
    def quoted(found: re.Match[str]) -> str:
        token = found.group()
        if token[0] in "'\"" or token.lower() in _WORDS:
            return token
        names = _named(metadata, token.strip("`"))
        if not names and "." in token and token[0] != "`":
            # A method of a column, such as smtsd.str.contains.
            stem, _, method = token.partition(".")
            while method:
                if len(found_names := _named(metadata, stem)) == 1:
                    return f"`{found_names[0]}`.{method}"
                further, _, method = method.partition(".")
                stem = f"{stem}.{further}"
        return f"`{names[0]}`" if len(names) == 1 else token

    return _TOKEN.sub(quoted, expression)


def _named(metadata: pd.DataFrame, name: str) -> list[str]:
    """The columns that a name can mean: the full name, or else what follows the table's."""
    wanted = name.lower()
    there = [str(column) for column in metadata.columns]
    exact = [column for column in there if column.lower() == wanted]
    return exact or [column for column in there if column.lower().partition(".")[2] == wanted]


def _column(metadata: pd.DataFrame, name: str) -> str:
    found = _named(metadata, name)
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"{name!r} can mean {', '.join(found)}; write one of these")
    close = difflib.get_close_matches(name.lower(), [str(column) for column in metadata.columns], n=3)
    hint = f"did you mean {', '.join(close)}?" if close else f"there is {_some(metadata)}"
    raise ConfigError(f"no column {name!r} in the metadata; {hint}")


def _some(metadata: pd.DataFrame, n_shown: int = 10) -> str:
    shown = ", ".join(map(str, metadata.columns[:n_shown]))
    return f"{shown}, … ({len(metadata.columns)} in all)" if len(metadata.columns) > n_shown else shown
