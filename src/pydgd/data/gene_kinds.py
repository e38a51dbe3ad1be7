# SPDX-License-Identifier: BSD-3-Clause
"""What one gene name is, and which species a list of names belongs to."""

import re
from collections.abc import Iterable

from pydgd.data.genes import strip_version

KINDS = ("ensembl", "symbol", "entrez")
"""Kinds of identifier that a gene can have; every name is of one."""

PSEUDOAUTOSOMAL = "_PAR_Y"
"""What GENCODE adds to the id of a gene of the Y chromosome's copy of a pseudoautosomal region."""

_ENSEMBL = re.compile(r"ENS([A-Z]*)G\d{11}(?:\.\d+)?(?:_PAR_Y)?")
_ENTREZ = re.compile(r"[1-9]\d{0,8}")
_SPECIES_OF_PREFIX = {"": "human", "MUS": "mouse"}
# ACTB and HLA-A against Actb and H2-K1; human names such as C1orf112 keep a run of small letters inside.
_HUMAN_SYMBOL = re.compile(r"[A-Z]{2}[A-Z0-9.-]*|[A-Z]\d+[A-Z0-9]*|C[0-9XY]+orf\d+[A-Z]*")
_MOUSE_SYMBOL = re.compile(r"[A-Z][a-z]{1,}[a-z0-9]*(?:-[A-Za-z0-9]+)*|\d{7}[A-Z]\d{2}Rik")


def name_kind(name: str) -> str:
    """The kind of one gene name.

    Args:
        name: As the data have it.

    Returns:
        ``"ensembl"``, ``"entrez"`` or, for all else, ``"symbol"``.

    Example:
        >>> name_kind("ENSG00000002586.19_PAR_Y"), name_kind("7157"), name_kind("TP53")
        ('ensembl', 'entrez', 'symbol')
    """
    if _ENSEMBL.fullmatch(name):
        return "ensembl"
    return "entrez" if _ENTREZ.fullmatch(name) else "symbol"


def plain_id(name: str) -> str:
    """An Ensembl id without version and ``_PAR_Y``; any other name as it is.

    Args:
        name: As the data have it.

    Example:
        >>> plain_id("ENSG00000002586.19_PAR_Y"), plain_id("AC000032.2")
        ('ENSG00000002586', 'AC000032.2')
    """
    bare = strip_version([name])[0]
    return bare.removesuffix(PSEUDOAUTOSOMAL) if name_kind(name) == "ensembl" else bare


def species_of(names: Iterable[str]) -> str | None:
    """The species that most of the names tell: by Ensembl prefix or, for symbols, by their capitals.

    Args:
        names: Gene names.

    Returns:
        ``"human"``, ``"mouse"`` or None where the names do not tell (Entrez ids, other species).

    Example:
        >>> species_of(["ENSMUSG00000059552"]), species_of(["ACTB", "TP53", "C1orf112"])
        ('mouse', 'human')
        >>> species_of(["Actb", "Trp53", "1700001C02Rik"]), species_of(["7157", "1956"])
        ('mouse', None)
    """
    given = list(names)
    votes = [_species(name) for name in given]
    for species in ("human", "mouse"):
        if 2 * votes.count(species) > len(given):
            return species
    return None


def _species(name: str) -> str | None:
    if found := _ENSEMBL.fullmatch(name):
        return _SPECIES_OF_PREFIX.get(found.group(1))
    if _HUMAN_SYMBOL.fullmatch(name):
        return "human"
    return "mouse" if _MOUSE_SYMBOL.fullmatch(name) else None
