# SPDX-License-Identifier: BSD-3-Clause
"""What colours samples on a map: words, numbers, or nothing."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgba
from numpy.typing import NDArray

from pydgd.plotting.palette import NEITHER, SEQUENTIAL, label_styles
from pydgd.plotting.text import plain


@dataclass(frozen=True, eq=False)
class Group:
    """Samples that are drawn in one go.

    Attributes:
        rows: Which they are.
        label: Entry in the legend.
        marker: matplotlib's.
        colour: Arguments of `Axes.scatter` that decide the colour.
    """

    rows: NDArray[np.bool_]
    label: str
    marker: str
    colour: dict[str, Any]


class Colouring(ABC):
    """Colours of training samples and queries."""

    @abstractmethod
    def samples(self, n: int) -> list[Group]:
        """How to draw the `n` training samples."""

    @abstractmethod
    def queries(self, n: int) -> dict[str, Any]:
        """Colours of `n` queries, as arguments of `Axes.scatter`."""

    @abstractmethod
    def of_queries_alone(self) -> dict[str, str]:
        """Label to colour, of labels that no training sample has: the legend must name them too."""

    def explain(self, ax: Axes) -> None:  # noqa: B027  # a legend explains most
        """Add what the legend cannot say.

        Args:
            ax: The finished map.
        """


def colouring(labels: pd.Series | None, query_labels: pd.Series | None) -> Colouring:
    """What the labels call for.

    Args:
        labels: Of the training samples; None if they have none.
        query_labels: Of the queries.
    """
    given = [values for values in (labels, query_labels) if values is not None]
    # Whole numbers are as often codes as quantities; fractions never are.
    if given and all(pd.api.types.is_float_dtype(values) for values in given):
        return ByNumber(labels, query_labels)
    return ByWord(labels, query_labels)


class ByWord(Colouring):
    """A colour and a mark for each label; grey without labels.

    Args:
        labels: Of the training samples; None if they have none.
        query_labels: Of the queries.
    """

    def __init__(self, labels: pd.Series | None, query_labels: pd.Series | None) -> None:
        self._labels, self._queries = _words(labels), _words(query_labels)
        self._styles = label_styles([*self._labels, *self._queries])

    def samples(self, n: int) -> list[Group]:
        """One group per label, in alphabetic order."""
        if not len(self._labels):
            return [Group(np.ones(n, dtype=bool), "training samples", "o", {"c": NEITHER})]
        return [
            Group(self._labels == label, plain(label), self._styles[label][1], {"c": self._styles[label][0]})
            for label in sorted(set(self._labels))
        ]

    def queries(self, n: int) -> dict[str, Any]:
        """The colours of the training samples of the same label; white without."""
        return {"c": [self._styles[label][0] for label in self._queries] or ["white"] * n}

    def of_queries_alone(self) -> dict[str, str]:
        """In alphabetic order."""
        alone = sorted(set(self._queries) - set(self._labels))
        return {plain(label): self._styles[label][0] for label in alone}


class ByNumber(Colouring):
    """A colour map over the numbers of both; samples without a number are grey.

    Args:
        labels: Of the training samples; None if they have none.
        query_labels: Of the queries.
    """

    def __init__(self, labels: pd.Series | None, query_labels: pd.Series | None) -> None:
        self._labels, self._queries = labels, query_labels
        numbers = np.concatenate([values for values in (labels, query_labels) if values is not None])
        finite = numbers[np.isfinite(numbers.astype(float))].astype(float)
        low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
        self._colours = ScalarMappable(Normalize(float(low), float(high)), SEQUENTIAL)
        both = next(values for values in (labels, query_labels) if values is not None)
        self._name = "" if both.name is None else plain(both.name)

    def samples(self, n: int) -> list[Group]:
        """All of them in one group."""
        return [Group(np.ones(n, dtype=bool), "training samples", "o", self._of(self._labels))]

    def queries(self, n: int) -> dict[str, Any]:  # noqa: ARG002
        """Colours by number; white without."""
        return {"c": "white"} if self._queries is None else self._of(self._queries)

    def of_queries_alone(self) -> dict[str, str]:
        """None: the colour bar has all numbers."""
        return {}

    def explain(self, ax: Axes) -> None:
        """Add the colour bar.

        Args:
            ax: The finished map.
        """
        ax.figure.colorbar(self._colours, ax=ax, label=self._name)

    def _of(self, values: pd.Series | None) -> dict[str, Any]:
        if values is None:
            return {"c": NEITHER}
        numbers = values.to_numpy(dtype=float)
        colours = self._colours.to_rgba(np.nan_to_num(numbers))
        colours[~np.isfinite(numbers)] = to_rgba(NEITHER)
        return {"c": colours}


def _words(labels: pd.Series | None) -> NDArray[Any]:
    if labels is None:
        return np.array([], dtype=str)
    return labels.astype(object).where(labels.notna(), "unknown").astype(str).to_numpy(dtype=str)
