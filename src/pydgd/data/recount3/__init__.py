# SPDX-License-Identifier: BSD-3-Clause
"""recount3: uniformly processed RNA-seq of GTEx, TCGA and SRA, as read counts with metadata."""

from pydgd.data.recount3.batches import read_batches
from pydgd.data.recount3.fetch import Files, Request, fetch_files, fetch_recount3
from pydgd.data.recount3.layout import ANNOTATIONS, MIRROR, SOURCES, Project, annotation_code
from pydgd.data.recount3.metadata import join_metadata, read_metadata
from pydgd.data.recount3.sums import GeneSums, read_gene_sums

__all__ = [
    "ANNOTATIONS",
    "MIRROR",
    "SOURCES",
    "Files",
    "GeneSums",
    "Project",
    "Request",
    "annotation_code",
    "fetch_files",
    "fetch_recount3",
    "join_metadata",
    "read_batches",
    "read_gene_sums",
    "read_metadata",
]
