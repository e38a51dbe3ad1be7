# SPDX-License-Identifier: BSD-3-Clause
"""Gene sets that hold more of the called genes than chance puts there."""

import logging
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import hypergeom

from pydgd.errors import ConfigError, GeneMismatchError
from pydgd.stats import ADJUSTMENTS, log_adjusted_p, to_p_value
from pydgd.tl.calls import DEFAULT_PADJ, calls_of
from pydgd.tl.gene_set_files import GeneSets, checked_sets
from pydgd.words import plural

_log = logging.getLogger(__name__)

DIRECTIONS: dict[str, tuple[int, ...]] = {"any": (1, -1), "up": (1,), "down": (-1,)}
"""Which calls are looked for in the sets."""

_UNDERFLOW = 1e-290


def over_representation(
    table: pd.DataFrame,
    gene_sets: GeneSets,
    *,
    padj: float = DEFAULT_PADJ,
    log2fc: float = 0.0,
    direction: str = "any",
    adjust: str = "bh",
    min_genes: int = 1,
    max_genes: int | None = None,
) -> pd.DataFrame:
    """Test each gene set for too many called genes, each sample by itself.

    The background of a sample are its tested genes: a gene that could not be called says nothing.

    Args:
        table: What `pydgd.differential_expression` returns, with all its rows.
        gene_sets: Set → genes, as `read_gene_sets` gives them.
        padj: Adjusted p-value that a call stays below.
        log2fc: Smallest absolute log2 fold change of a call.
        direction: Calls that count: ``any``, ``up`` or ``down``.
        adjust: ``bh`` or ``by``, over the sets of each sample.
        min_genes: Sets with fewer tested genes are left out.
        max_genes: Sets with more tested genes are left out; None leaves out none.

    Returns:
        One row per sample and set, as `over_representation_of` has them, after ``sample`` and ``direction``.

    Raises:
        ConfigError: If a column is missing or an option out of range.
        NamesError: If a pair of sample and gene stands there twice, or the sets are none.
        GeneMismatchError: If no set has a gene of the table.

    Example:
        >>> table = pd.DataFrame({"sample": "T1", "gene": list("ABCD"), "log2FoldChange": 2.0,
        ...                       "padj": [0.001, 0.002, 0.8, 0.9]})
        >>> found = over_representation(table, {"first": ["A", "B"], "last": ["C", "D"]})
        >>> found[["sample", "gene_set", "n_overlap", "e_score", "pvalue"]].round(3)
          sample gene_set  n_overlap  e_score  pvalue
        0     T1    first          2      2.0   0.167
        1     T1     last          0      0.0   1.000
    """
    if direction not in DIRECTIONS:
        raise ConfigError(f"direction is {direction!r}; choose one of {', '.join(DIRECTIONS)}")
    calls = calls_of(table, padj=padj, log2fc=log2fc)
    sets = _SetsOfGenes(gene_sets, calls["gene"].cat.categories)
    parts = []
    for sample, rows in calls.groupby("sample", observed=False):
        genes = rows["gene"].cat.codes.to_numpy()
        called = genes[rows["call"].isin(DIRECTIONS[direction]).to_numpy()]
        found = sets.test(called, genes, adjust=adjust, min_genes=min_genes, max_genes=max_genes)
        found.insert(0, "sample", sample)
        found.insert(1, "direction", direction)
        parts.append(found)
    return pd.concat(parts, ignore_index=True)


def over_representation_of(
    genes: Iterable[str],
    background: Iterable[str],
    gene_sets: GeneSets,
    *,
    adjust: str = "bh",
    min_genes: int = 1,
    max_genes: int | None = None,
) -> pd.DataFrame:
    """Test each gene set for too many of some genes, such as those that a whole cohort has in common.

    Args:
        genes: Those found; ones outside the background do not count.
        background: All that could have been found.
        gene_sets: Set → genes.
        adjust: ``bh`` or ``by``, over the sets.
        min_genes: Sets with fewer genes in the background are left out.
        max_genes: Sets with more are left out; None leaves out none.

    Returns:
        One row per set, the smallest p first: ``gene_set``; ``n_genes`` of the set in the background;
        ``n_called`` genes found; ``n_background``; ``n_overlap``, found and in the set; ``expected`` by
        chance; ``e_score``, n_overlap over expected (bulkdgd's score; NaN if nothing was found); ``pvalue``,
        the chance of so many or more (hypergeometric, upper tail); ``log_pvalue``, natural; ``padj``; and
        ``genes``, the overlap, with semicolons between.

    Raises:
        ConfigError: If an option is out of range.
        NamesError: If there is no set.
        GeneMismatchError: If no set has a gene of the background.

    Source:
        Rivals et al. (2007), Bioinformatics 23:401.

    Example:
        >>> over_representation_of(["A"], "ABCD", {"S": ["A", "X"]})[["n_genes", "e_score", "pvalue"]]
           n_genes  e_score  pvalue
        0        1      4.0    0.25
    """
    names = pd.Index(dict.fromkeys(map(str, background)))
    places = names.get_indexer(pd.Index(dict.fromkeys(map(str, genes)), dtype=object))
    return _SetsOfGenes(gene_sets, names).test(
        places[places >= 0], np.arange(len(names)), adjust=adjust, min_genes=min_genes, max_genes=max_genes
    )


class _SetsOfGenes:
    """Gene sets as places in a list of genes.

    Args:
        gene_sets: Set → genes.
        names: All genes that may be tested, no two alike.
    """

    def __init__(self, gene_sets: GeneSets, names: pd.Index) -> None:
        self._names = names.to_numpy(dtype=object)
        given = checked_sets(gene_sets)
        found = {name: names.get_indexer(pd.Index(genes, dtype=object)) for name, genes in given.items()}
        self._sets = {name: np.sort(places[places >= 0]) for name, places in found.items()}
        if not any(len(places) for places in self._sets.values()):
            first = next((genes[0] for genes in given.values() if genes), "")
            raise GeneMismatchError(
                f"no gene of the {plural(len(given), 'gene set')} (first: {first!r}) is among the "
                f"{plural(len(names), 'gene')} of the results (first: {names[:1].tolist()}); give sets with "
                "names of the same kind"
            )
        self._warn_of_strangers(given)

    def test(
        self,
        called: NDArray[np.integer],
        tested: NDArray[np.integer],
        *,
        adjust: str,
        min_genes: int,
        max_genes: int | None,
    ) -> pd.DataFrame:
        """The table of `over_representation_of`, of places rather than names."""
        check_sizes(min_genes, max_genes)
        if adjust not in ADJUSTMENTS:
            raise ConfigError(f"adjust is {adjust!r}; choose one of {', '.join(ADJUSTMENTS)}")
        is_tested, is_called = (np.isin(np.arange(len(self._names)), some) for some in (tested, called))
        members = {name: places[is_tested[places]] for name, places in self._sets.items()}
        most = np.inf if max_genes is None else max_genes
        members = {name: places for name, places in members.items() if min_genes <= len(places) <= most}
        overlap = [places[is_called[places]] for places in members.values()]
        table = pd.DataFrame(
            {
                "gene_set": pd.Series(list(members), dtype=object),
                "n_genes": np.array([len(places) for places in members.values()], dtype=np.int64),
                "n_called": int(is_called.sum()),
                "n_background": int(is_tested.sum()),
                "n_overlap": np.array([len(places) for places in overlap], dtype=np.int64),
            }
        )
        table = table.assign(**_tests(table, adjust))
        table["genes"] = pd.Series([";".join(self._names[places]) for places in overlap], dtype=object)
        return table.sort_values(["log_pvalue", "gene_set"], kind="stable", ignore_index=True)

    def _warn_of_strangers(self, given: Mapping[str, tuple[str, ...]]) -> None:
        empty = [name for name, places in self._sets.items() if not len(places)]
        if empty:
            _log.warning(
                "%d of %s (first: %s) have no gene among the results",
                len(empty),
                plural(len(given), "gene set"),
                empty[0],
            )


def _tests(table: pd.DataFrame, adjust: str) -> dict[str, NDArray[np.float64]]:
    n, size, called, seen = (
        table[c].to_numpy() for c in ("n_background", "n_genes", "n_called", "n_overlap")
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = size * called / n
        score = np.where(expected > 0, seen / expected, np.nan)
    log_p = _log_p(seen, n, size, called)
    adjusted = log_adjusted_p(log_p, adjust=adjust) if len(log_p) else log_p
    return {
        "expected": expected,
        "e_score": score,
        "pvalue": to_p_value(log_p),
        "log_pvalue": log_p,
        "padj": to_p_value(adjusted),
    }


def _log_p(*arguments: NDArray[np.integer]) -> NDArray[np.float64]:
    """Natural log of P(X >= seen) for seen, all genes, those of the set, those called."""
    # Thousands of sets share a few hundred sizes and overlaps.
    distinct, back = np.unique(np.column_stack(arguments), axis=0, return_inverse=True)
    seen, n, size, called = distinct.T
    upper = hypergeom.sf(seen - 1, n, size, called)
    log_p = np.log(np.maximum(upper, _UNDERFLOW))
    small = upper <= _UNDERFLOW
    # Right to 1e-10 of a nat and three times as slow.
    log_p[small] = hypergeom.logsf(seen[small] - 1, n[small], size[small], called[small])
    return np.asarray(np.minimum(log_p, 0.0)[back.ravel()])


def check_sizes(min_genes: int, max_genes: int | None) -> None:
    """Refuse bounds on the size of sets that leave nothing.

    Args:
        min_genes: At least 1.
        max_genes: At least `min_genes`, or None.

    Raises:
        ConfigError: If one is out of range.
    """
    if min_genes < 1 or (max_genes is not None and max_genes < min_genes):
        raise ConfigError(
            f"min_genes is {min_genes} and max_genes {max_genes}; allowed is 1 <= min_genes <= max_genes"
        )
