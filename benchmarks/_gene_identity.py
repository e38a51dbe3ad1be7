# SPDX-License-Identifier: BSD-3-Clause
"""Genes of other data against those of the healthy samples: matched, lost, ambiguous. Part of `formats.py`.

`python benchmarks/_gene_identity.py` prints these figures alone.
"""

import sys
from pathlib import Path

import anndata
from anndata import AnnData

from _figures import Figures
from pydgd.data import GeneReport, map_genes

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
MUST = {"heart_muscle": 18_000}


def gene_reports(data: Path = DATA) -> dict[str, GeneReport]:
    """What becomes of the genes of `airway` and `heart_muscle`, named by the `var` of `normals`."""
    normals = anndata.read_h5ad(data / "normals.h5ad", backed="r")
    wanted = AnnData(var=normals.var)
    normals.file.close()
    return {
        name: map_genes(anndata.read_h5ad(data / f"{name}.h5ad"), to=wanted)[1]
        for name in ("heart_muscle", "airway")
    }


def add_gene_identity(figures: Figures, data: Path = DATA) -> None:
    """Add the figures, and print where the rest went."""
    for name, report in gene_reports(data).items():
        what = f"{name}: genes of normals ({report.n_wanted:,} symbols) that are matched"
        must = MUST.get(name)
        ok = None if must is None else report.n_matched >= must
        figures.add(what, report.n_matched, "" if must is None else f">= {must:,}", ok)
        figures.add(f"{name}: genes of normals without a match", len(report.missing))
        figures.add(f"{name}: its own genes that mean none of them", report.n_lost)
        figures.add(f"{name}: its own genes that could mean several", report.n_ambiguous)
        figures.add(f"{name}: its own genes added to others of the same name", report.n_summed)
        figures.add(f"{name}: share of its reads in matched genes", report.share_of_reads)
        lost = report.table[report.table["status"] == "lost"].nlargest(10, "reads")
        print(f"{name}: most reads in lost genes: {', '.join(lost['gene'])}")


if __name__ == "__main__":
    own = Figures("gene_identity")
    add_gene_identity(own)
    sys.exit(own.finish())
