# SPDX-License-Identifier: BSD-3-Clause
"""Why counts and a model share too few genes, and the first simple repair that would work."""

from collections.abc import Iterable, Iterator

import pandas as pd
from anndata import AnnData

from pydgd.data.genes import describe_ids, strip_version
from pydgd.errors import GeneMismatchError

# Each goes on after "93% of the model's genes".
_TRANSPOSED = (
    "are among the sample names: the table looks transposed; read it with --orient genes (orient='genes'), "
    "or transpose it"
)
_VERSIONS = "match without version: adata.var_names = pydgd.data.strip_version(adata.var_names)"
_OTHER_VERSIONS = (
    "match if versions are ignored, but the model's genes bear versions too: rename the counts' genes to "
    "the model's, or train a model on names without version"
)
_OTHER_NAMES = (
    "Give counts whose genes bear names of the model's kind, or bring them to these by a table of genes, "
    "--gene-table (pydgd.data.map_genes), which `pydgd genes --all` fetches"
)
_CAPITALS = (
    "match if capitals are ignored, as between mouse (Actb) and human (ACTB); a model serves one species"
)


def mismatch_error(adata: AnnData, genes: pd.Index, min_shared: float) -> GeneMismatchError:
    """The error for counts that lack too many genes of a model.

    Args:
        adata: The counts.
        genes: Genes of the model.
        min_shared: Share of `genes` that would have been enough.

    Returns:
        An error whose message compares the kinds of ids on both sides and gives a repair that was tried.
    """
    lacking = genes[~genes.isin(adata.var_names)]
    return GeneMismatchError(
        f"the counts have {len(genes) - len(lacking):,} of the model's {len(genes):,} genes; "
        f"{min_shared:.0%} are needed (lacking e.g. {', '.join(lacking[:3])}). The model's genes look like "
        f"{describe_ids(genes)}, those of the counts like {describe_ids(adata.var_names)}. "
        + _repair(adata, genes, min_shared)
    )


def _repair(adata: AnnData, genes: pd.Index, min_shared: float) -> str:
    for ours, theirs, advice in _attempts(adata, genes):
        share = pd.Index(list(ours)).isin(list(theirs)).mean()
        if share >= min_shared:
            return f"{share:.0%} of the model's genes {advice}"
    return _OTHER_NAMES


def _attempts(adata: AnnData, genes: pd.Index) -> Iterator[tuple[Iterable[str], Iterable[str], str]]:
    """Names of the model, names of the counts, and what to do if they match; the likeliest first."""
    yield genes, adata.obs_names, _TRANSPOSED
    bare = strip_version(adata.var_names)
    yield genes, bare, _VERSIONS
    for column in adata.var.columns:
        ids, place = adata.var[column].dropna().astype(str), f"var[{column!r}]"
        use = f"adata.var_names = adata.{place}, without genes that lack an id of their own"
        yield genes, ids, f"are in {place}: {use}"
        yield genes, strip_version(ids), f"are in {place} once versions are stripped there: then {use}"
    yield strip_version(genes), bare, _OTHER_VERSIONS
    yield [name.upper() for name in genes], [name.upper() for name in adata.var_names], _CAPITALS
