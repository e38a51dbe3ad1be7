# SPDX-License-Identifier: BSD-3-Clause
"""Labels live here: counts from files and tables, checked, aligned by name, and scaled."""

from pydgd.data.align import AlignedCounts, GeneMatch, align_to_genes, match_genes
from pydgd.data.counts import as_counts
from pydgd.data.coverage_reads import coverage_to_reads
from pydgd.data.detection import detected_genes
from pydgd.data.gene_mapping import map_genes
from pydgd.data.gene_report import GeneReport
from pydgd.data.gene_table import GeneTable
from pydgd.data.genes import gene_id_type, strip_version
from pydgd.data.memory import available_memory
from pydgd.data.preprocessing import Preprocessed, preprocess
from pydgd.data.readers import open_counts, read_counts
from pydgd.data.rows import CountRows, count_rows
from pydgd.data.scaling import SCALING_RULES, scaling_factors, typical_profile
from pydgd.data.selection import select_samples
from pydgd.data.simulate import Simulation, simulate_blocks, simulate_cohort
from pydgd.data.validation import validate_counts

__all__ = [
    "SCALING_RULES",
    "AlignedCounts",
    "CountRows",
    "GeneMatch",
    "GeneReport",
    "GeneTable",
    "Preprocessed",
    "Simulation",
    "align_to_genes",
    "as_counts",
    "available_memory",
    "count_rows",
    "coverage_to_reads",
    "detected_genes",
    "gene_id_type",
    "map_genes",
    "match_genes",
    "open_counts",
    "preprocess",
    "read_counts",
    "scaling_factors",
    "select_samples",
    "simulate_blocks",
    "simulate_cohort",
    "strip_version",
    "typical_profile",
    "validate_counts",
]
