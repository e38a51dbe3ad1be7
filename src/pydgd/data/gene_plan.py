# SPDX-License-Identifier: BSD-3-Clause
"""Where each gene of some data goes when its names become others."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy import sparse

from pydgd.data.gene_kinds import KINDS, species_of
from pydgd.data.gene_matching import RANKS, Match, match_kind, match_names
from pydgd.data.gene_report import GeneReport
from pydgd.data.gene_table import GeneTable, joined
from pydgd.data.genes import GENE_ID_TYPES, describe_ids, gene_id_type
from pydgd.errors import ConfigError, GeneMismatchError, NamesError

_log = logging.getLogger(__name__)

DUPLICATES = ("sum", "refuse")
_KIND_NAMES = {"ensembl": "Ensembl ids", "symbol": "gene symbols", "entrez": "Entrez ids"}


@dataclass(frozen=True, eq=False)
class GenePlan:
    """Where each gene of some data goes.

    Attributes:
        names: Genes of the data.
        wanted: Names that were asked for, or None if a kind of names was.
        kind: Kind of the wanted names.
        matches: What became of each gene.
        targets: New names in their order.
        places: Number of its new name for each gene, -1 for none.
    """

    names: list[str]
    wanted: list[str] | None
    kind: str
    matches: list[Match]
    targets: list[str]
    places: NDArray[np.intp]

    def apply(self, counts: Any) -> Any:  # noqa: ANN401  # array or sparse
        """Counts in the new order, those of one target added up.

        Args:
            counts: Samples × genes of the data.
        """
        return _summed(counts, self.places, len(self.targets))

    def var(self) -> pd.DataFrame:
        """The new names, and the genes that went into each."""
        kept = np.flatnonzero(self.places >= 0)
        sources = pd.Series(self.names).iloc[kept].groupby(self.places[kept]).agg(";".join)
        return pd.DataFrame({"source_genes": sources.to_numpy()}, index=pd.Index(self.targets))

    def table(self, reads: NDArray[np.float64]) -> pd.DataFrame:
        """What became of each gene.

        Args:
            reads: Of each gene in all samples.
        """
        found = pd.Series([match.target for match in self.matches])
        several = [len(match.candidates) > 1 for match in self.matches]
        status = np.select(
            [(found != "") & found.duplicated(keep=False), found != "", several],
            ["summed", "matched", "ambiguous"],
            default="lost",
        )
        return pd.DataFrame(
            {
                "gene": self.names,
                "target": found,
                "status": status,
                "how": [match.how for match in self.matches],
                "candidates": ["|".join(match.candidates) for match in self.matches],
                "reads": reads,
            }
        )

    def report(self, reads: NDArray[np.float64]) -> GeneReport:
        """The report, also to the log.

        Args:
            reads: Of each gene in all samples.
        """
        there = set(self.targets)
        missing = tuple(name for name in self.wanted or () if name not in there)
        n_wanted = len(self.targets if self.wanted is None else self.wanted)
        report = GeneReport(self.table(reads), missing, n_wanted, gene_id_type(self.names), self.kind)
        _log.info("genes: %s", report)
        return report


def plan_genes(
    var: pd.DataFrame, *, to: str | Iterable[str] | AnnData, table: GeneTable | None, duplicates: str
) -> GenePlan:
    """Find out where genes go; arguments and errors are those of `pydgd.data.map_genes`.

    Args:
        var: Genes of the data.
        to: The wanted names, other data, or a kind.
        table: Which names mean the same gene.
        duplicates: ``"sum"`` or ``"refuse"``.
    """
    if duplicates not in DUPLICATES:
        raise ConfigError(f"duplicates is {duplicates!r}; give one of {', '.join(DUPLICATES)}")
    names = [str(name) for name in var.index]
    theirs = to.var if isinstance(to, AnnData) else None
    known = joined([*([] if table is None else [table]), *_tables_of(theirs), *_tables_of(var)])
    if isinstance(to, str):
        wanted, matches = None, match_kind(names, _checked_kind(to), known)
        kind = next(kind for kind in GENE_ID_TYPES if kind.startswith(to))
    else:
        wanted = list(map(str, to.var_names if isinstance(to, AnnData) else to))
        _check_species(names, wanted)
        matches, kind = match_names(names, wanted, known), gene_id_type(wanted)
    matches = _best_claims(matches)
    targets, places = _order(matches, wanted)
    if not targets:
        raise _nothing(names, _KIND_NAMES[to] if isinstance(to, str) else describe_ids(wanted or []), known)
    plan = GenePlan(names, wanted, kind, matches, targets, places)
    if duplicates == "refuse" and len(targets) < (places >= 0).sum():
        raise _refused(plan.table(np.zeros(len(names))))
    return plan


def _tables_of(var: pd.DataFrame | None) -> list[GeneTable]:
    """The table that `var` of some data is, if it is one."""
    try:
        return [] if var is None else [GeneTable.from_var(var)]
    except NamesError:
        return []


def _checked_kind(kind: str) -> str:
    if kind not in KINDS:
        raise ConfigError(f"to is {kind!r}; give one of {', '.join(KINDS)}, or a list of genes")
    return kind


def _check_species(names: Sequence[str], wanted: Sequence[str]) -> None:
    ours, theirs = species_of(names), species_of(wanted)
    if ours and theirs and ours != theirs:
        raise GeneMismatchError(
            f"the counts are of {ours} ({describe_ids(names)}), the wanted genes of {theirs} "
            f"({describe_ids(wanted)}); a model serves one species: use or train one for {ours}"
        )


def _best_claims(matches: Sequence[Match]) -> list[Match]:
    """Where genes share a target, only those that are found in the surest way keep it."""
    surest: dict[str, int] = {}
    for match in matches:
        if match.target:
            rank = RANKS[match.how]
            surest[match.target] = min(rank, surest.get(match.target, rank))
    return [
        Match(how=match.how, candidates=(match.target,))
        if match.target and RANKS[match.how] > surest[match.target]
        else match
        for match in matches
    ]


def _order(matches: Sequence[Match], wanted: list[str] | None) -> tuple[list[str], NDArray[np.intp]]:
    """The new names in their order, and the number of its new name for each gene, -1 for none."""
    found = dict.fromkeys(match.target for match in matches if match.target)
    targets = list(found) if wanted is None else [name for name in wanted if name in found]
    numbers = {name: number for number, name in enumerate(targets)}
    return targets, np.array([numbers.get(match.target, -1) for match in matches], dtype=np.intp)


def _summed(counts: Any, places: NDArray[np.intp], n_targets: int) -> Any:  # noqa: ANN401  # array or sparse
    """Columns in the order of their new places, those with the same place added up."""
    kept = np.flatnonzero(places >= 0)
    kept = kept[np.argsort(places[kept], kind="stable")]
    starts = np.searchsorted(places[kept], np.arange(n_targets))
    once = len(kept) == n_targets
    dtype = sum_type(counts.dtype)
    if sparse.issparse(counts):
        given: Any = counts
        chosen: Any = given.tocsc()[:, kept].astype(dtype)
        if not once:
            columns = sparse.csc_matrix(
                (np.ones(len(kept), dtype=dtype), (np.arange(len(kept)), places[kept])),
                shape=(len(kept), n_targets),
            )
            chosen = chosen @ columns
        return chosen.asformat(given.format)
    chosen = counts[:, kept]
    return chosen.astype(dtype, copy=False) if once else np.add.reduceat(chosen, starts, axis=1, dtype=dtype)


def sum_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """A type for sums of a few counts: those of 8 and 16 bits overflow.

    Args:
        dtype: Of the counts.
    """
    return np.promote_types(dtype, np.int32) if dtype.kind in "iu" else dtype


def _refused(table: pd.DataFrame) -> NamesError:
    shared = table[table["status"] == "summed"]
    first = shared["target"].iloc[0]
    genes = ", ".join(shared.loc[shared["target"] == first, "gene"])
    return NamesError(
        f"{shared['target'].nunique():,} genes have several names in the counts (first: {first}: {genes}); "
        "let their reads be summed (duplicates='sum'), or drop all but one"
    )


def _nothing(names: list[str], wanted: str, known: GeneTable) -> GeneMismatchError:
    advice = (
        "give a table that holds both kinds of names (HGNC or BioMart; `pydgd genes` fetches one)"
        if not len(known)
        else f"the table of {len(known):,} rows connects none of them; check its species and release"
    )
    return GeneMismatchError(
        f"none of the {len(names):,} genes of the counts, {describe_ids(names)}, could be found among the "
        f"wanted {wanted}: {advice}"
    )
