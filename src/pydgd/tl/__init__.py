# SPDX-License-Identifier: BSD-3-Clause
"""Analyses of results: AnnData, tables or a model in, tidy tables with names out.

Each name loads with what it needs on first use: the verbs on tables do without torch until one asks for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydgd.tl.aberrant import aberrant_genes, aberrant_samples
    from pydgd.tl.cohort import call_matrix, consensus, group_summary, recurrence
    from pydgd.tl.combining import combined
    from pydgd.tl.components import component_densities, component_labels, responsibilities, typical_samples
    from pydgd.tl.embedding import Embedding, embed, fit_embedding
    from pydgd.tl.embedding_input import Fill
    from pydgd.tl.enrichment import over_representation, over_representation_of
    from pydgd.tl.gene_set_files import read_gene_sets
    from pydgd.tl.ranked_enrichment import gsea
    from pydgd.tl.residual_views import genes_by_residual, residual_recurrence, residuals
    from pydgd.tl.saliency import gene_sensitivity, representation_sensitivity
    from pydgd.tl.synthetic import sample_counts, sample_representations

__all__ = [
    "Embedding",
    "Fill",
    "aberrant_genes",
    "aberrant_samples",
    "call_matrix",
    "combined",
    "component_densities",
    "component_labels",
    "consensus",
    "embed",
    "fit_embedding",
    "gene_sensitivity",
    "genes_by_residual",
    "group_summary",
    "gsea",
    "over_representation",
    "over_representation_of",
    "read_gene_sets",
    "recurrence",
    "representation_sensitivity",
    "residual_recurrence",
    "residuals",
    "responsibilities",
    "sample_counts",
    "sample_representations",
    "typical_samples",
]

_ROOMS = {
    "aberrant": ("aberrant_genes", "aberrant_samples"),
    "cohort": ("call_matrix", "consensus", "group_summary", "recurrence"),
    "combining": ("combined",),
    "components": ("component_densities", "component_labels", "responsibilities", "typical_samples"),
    "embedding": ("Embedding", "embed", "fit_embedding"),
    "embedding_input": ("Fill",),
    "enrichment": ("over_representation", "over_representation_of"),
    "gene_set_files": ("read_gene_sets",),
    "ranked_enrichment": ("gsea",),
    "residual_views": ("genes_by_residual", "residual_recurrence", "residuals"),
    "saliency": ("gene_sensitivity", "representation_sensitivity"),
    "synthetic": ("sample_counts", "sample_representations"),
}
_WHERE = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # a module attribute may be anything
    if name not in _WHERE:
        raise AttributeError(f"module 'pydgd.tl' has no attribute {name!r}")
    value = getattr(import_module(f"pydgd.tl.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
