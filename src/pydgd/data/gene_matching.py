# SPDX-License-Identifier: BSD-3-Clause
"""Which name of another list each gene name means, and how one knows."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydgd.data.gene_kinds import KINDS, PSEUDOAUTOSOMAL, name_kind, plain_id
from pydgd.data.gene_table import GeneTable

# How a name was found, the surest first. A name of a surer kind keeps others from its target: a gene that
# once bore another gene's present symbol is not that gene.
RANKS = {"same name": 0, "id without version": 0, "pseudoautosomal copy": 0, "capitals": 1, "table": 1}
RANKS["previous name"] = 2


@dataclass(frozen=True)
class Match:
    """What became of one name.

    Attributes:
        target: Name in the other list; "" if there is none or no single one.
        how: A key of `RANKS`; "" if nothing was found.
        candidates: The names it could mean if they are several.
    """

    target: str = ""
    how: str = ""
    candidates: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.target or self.candidates)


class Names:
    """The names that are looked for.

    Args:
        targets: Wanted names, each once.
    """

    def __init__(self, targets: Sequence[str]) -> None:
        self._exact = {name: name for name in targets}
        self._plain, self._folded = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
        for name in targets:
            # A copy on Y stands for nothing but itself.
            if not name.endswith(PSEUDOAUTOSOMAL):
                self._plain[plain_id(name)].add(name)
            self._folded[name.upper()].add(name)

    def itself(self, name: str) -> Match:
        """The name as it is, or its id whatever the version.

        Args:
            name: To be found.
        """
        if name in self._exact:
            return Match(name, "same name")
        copy = name.endswith(PSEUDOAUTOSOMAL) and name_kind(name) == "ensembl"
        return _single(
            self._plain.get(plain_id(name), set()), "pseudoautosomal copy" if copy else "id without version"
        )

    def capitals(self, name: str) -> Match:
        """The name in other capitals.

        Args:
            name: To be found.
        """
        return _single(self._folded.get(name.upper(), set()), "capitals")

    def any_of(self, names: Iterable[str], how: str) -> Match:
        """The one of some names that is wanted.

        Args:
            names: Names of one gene, ids without version.
            how: Where they come from.
        """
        return _single({found for name in names for found in self._plain.get(name, ())}, how)


def match_names(names: Sequence[str], targets: Sequence[str], table: GeneTable) -> list[Match]:
    """Find what each name means among the targets.

    In this order: the same name; the same Ensembl id, whatever the version, where a copy on Y
    (``_PAR_Y``) counts as its gene unless the targets have it apart; names that the table puts in one row
    with it; previous symbols on either side; a symbol in other capitals. A previous symbol that is
    another gene's present symbol is taken for the latter; one that several genes had decides nothing.

    Args:
        names: To be found.
        targets: Wanted names, each once.
        table: Names that mean the same gene.

    Returns:
        One for each name.

    Example:
        >>> import pandas as pd
        >>> table = GeneTable.from_frame(pd.DataFrame({"symbol": ["CXCL8"], "prev_symbol": ["IL8"]}))
        >>> match_names(["IL8"], ["CXCL8"], table)
        [Match(target='CXCL8', how='previous name', candidates=())]
    """
    wanted, known = Names(targets), _Index(table)
    return [_match(name, wanted, known) for name in names]


def match_kind(names: Sequence[str], kind: str, table: GeneTable) -> list[Match]:
    """Find the name of one kind of each gene.

    Args:
        names: To be found.
        kind: ``"ensembl"``, ``"symbol"`` or ``"entrez"``; names of this kind that the table does not know
            stay, without version.
        table: Names that mean the same gene.
    """
    wanted, known = Names(table.names(kind)), _Index(table)
    found = []
    for name in names:
        match = _match(name, wanted, known)
        if not match and name_kind(name) == kind:
            bare = plain_id(name)
            match = Match(bare, "same name" if bare == name else "id without version")
        found.append(match)
    return found


class _Index:
    """Rows of a table by each of their names."""

    def __init__(self, table: GeneTable) -> None:
        columns = {kind: table.rows[kind].tolist() for kind in (*KINDS, "previous")}
        self._rows = list(zip(*(columns[kind] for kind in KINDS), strict=True))
        self._gene = [symbol or ensembl or entrez for ensembl, symbol, entrez in self._rows]
        self._previous = [tuple(filter(None, names.split("|"))) for names in columns["previous"]]
        self._by_name = {kind: _places(columns[kind]) for kind in KINDS}
        self._by_previous = _places_of_each(self._previous)

    def rows(self, name: str) -> list[int]:
        """Numbers of the rows that have the name as their present one."""
        return self._by_name[name_kind(name)].get(plain_id(name), [])

    def older(self, name: str) -> list[int]:
        """Numbers of the rows that have the name as a previous one; none if it is a present one."""
        return [] if self.rows(name) else self._by_previous.get(name, [])

    def owners(self, name: str) -> tuple[str, ...]:
        """The genes that once had a name."""
        return tuple(sorted({self._gene[row] for row in self._by_previous.get(name, [])}))

    def present(self, rows: Iterable[int]) -> set[str]:
        """The present names in some rows."""
        return {name for row in rows for name in self._rows[row] if name}

    def previous(self, rows: Iterable[int]) -> set[str]:
        """The previous names in some rows that are no gene's present name."""
        return {name for row in rows for name in self._previous[row] if not self.rows(name)}


def _match(name: str, wanted: Names, known: _Index) -> Match:
    rows, older = known.rows(name), known.older(name)
    match = wanted.itself(name) or wanted.any_of(known.present(rows), "table")
    if not match and len(owners := known.owners(name)) > 1 and older:
        return Match(how="previous name", candidates=owners)
    match = match or wanted.any_of(known.present(older), "previous name")
    if not match:
        match = wanted.any_of(known.previous([*rows, *older]), "previous name")
        if len(owners := known.owners(match.target)) > 1:
            return Match(how="previous name", candidates=owners)
    return match or wanted.capitals(name)


def _single(found: set[str], how: str) -> Match:
    if len(found) == 1:
        return Match(next(iter(found)), how)
    return Match(how=how if found else "", candidates=tuple(sorted(found)))


def _places(names: Iterable[str]) -> Mapping[str, list[int]]:
    return _places_of_each([name] if name else [] for name in names)


def _places_of_each(names: Iterable[Iterable[str]]) -> Mapping[str, list[int]]:
    places: dict[str, list[int]] = {}
    for place, group in enumerate(names):
        for name in group:
            places.setdefault(name, []).append(place)
    return places
