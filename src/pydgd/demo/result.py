# SPDX-License-Identifier: BSD-3-Clause
"""What a demo found, and how right it was, in words."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

PADJ = 0.05
N_NEIGHBOURS = 10
N_TOP = 10
FILES = {
    "normals.h5ad": "counts of the healthy samples",
    "cases.h5ad": "counts of the cases",
    "normals.dgd": "the model trained on the healthy samples",
    "de.csv": "every gene of every case against its closest normal",
    "truth.csv": "the genes that were changed",
    "volcano.png": "volcano plot of the case above",
    "latent_map.png": "healthy samples by tissue, and the changed cases",
}


@dataclass(frozen=True)
class Accuracy:
    """Calls at padj < 0.05 against the planted changes.

    Attributes:
        recall: Share of the changed genes that were called.
        attainable: The same of a test that knows every healthy mean and dispersion: what counts can tell.
        false_discovery_proportion: Share of the calls in changed cases that are of genes that did not change.
        calls_per_unchanged_case: Mean number of calls in cases without changes; each is false.
        n_changed_genes: Changed genes, over all cases.
        n_called: Calls in changed cases.
    """

    recall: float
    attainable: float
    false_discovery_proportion: float
    calls_per_unchanged_case: float
    n_changed_genes: int
    n_called: int

    def __str__(self) -> str:
        verdict = "About as many false calls as were asked for."
        if self.false_discovery_proportion > 1.5 * PADJ:
            verdict = (
                f"More false calls than the {PADJ:.0%} asked for: the closest normal and its scale bend\n"
                "  towards the changes, so that other genes seem changed. Trust the genes' order more."
            )
        wrong = f"{self.false_discovery_proportion:.1%}"
        facts = (
            ("recall", f"{self.recall:.1%}", f"of {self.n_changed_genes:,} changed genes were found"),
            ("attainable", f"{self.attainable:.1%}", "by a test that knows the truth about healthy samples"),
            ("false discovery proportion", wrong, f"of {self.n_called:,} calls in changed cases are wrong"),
            ("cases without changes", f"{self.calls_per_unchanged_case:.1f}", "calls per sample, all wrong"),
        )
        lines = "\n".join(f"  {name:<28}{value:>6}  {meaning}" for name, value, meaning in facts)
        return f"All cases against the truth, at padj < {PADJ}\n{lines}\n  {verdict}"


@dataclass(frozen=True, eq=False)
class Case:
    """One sample's closest normal and the genes that differ from it.

    Attributes:
        sample: Its name.
        tissue: Where it is from.
        neighbours: Tissues of the training samples nearest to it, with their numbers, most frequent first.
        top_genes: Its surest changes: gene, observed, baseMean, log2FoldChange, padj, and the planted change.
        n_differing: How many of its genes differ.
    """

    sample: str
    tissue: str
    neighbours: dict[str, int]
    top_genes: pd.DataFrame
    n_differing: int

    def __str__(self) -> str:
        nearest = ", ".join(f"{count} {tissue}" for tissue, count in self.neighbours.items())
        lines = "\n  ".join(_gene_lines(self.top_genes))
        return (
            f"One case: {self.sample}, from {self.tissue}\n"
            f"  Nearest to its closest normal are {N_NEIGHBOURS} healthy samples: {nearest}.\n"
            f"  {self.n_differing:,} genes differ from the closest normal at padj < {PADJ}. The surest:\n\n"
            f"  {lines}"
        )


@dataclass(frozen=True, eq=False)
class DemoResult:
    """What a demo found, and how right it was.

    Attributes:
        directory: Where the files are.
        case: One case in detail.
        accuracy: All cases against the truth.
        seconds: How long it took.
        files: What was written: names, and what is in them.
    """

    directory: Path
    case: Case
    accuracy: Accuracy
    seconds: float
    files: dict[str, str] = field(default_factory=lambda: dict(FILES))

    def summary(self) -> str:
        """All of it, for reading."""
        files = "\n".join(f"  {self.directory / name!s:<30}  {what}" for name, what in self.files.items())
        return f"{self.case}\n\n{self.accuracy}\n\nAll in {self.seconds:.0f} s. The files:\n{files}"


def _gene_lines(genes: pd.DataFrame) -> list[str]:
    head = f"{'gene':<18}{'reads':>9}{'expected':>10}{'log2 change':>13}{'padj':>10}   planted"
    planted = genes["planted"].map("{:+.2f}".format).where(genes["planted"].notna(), "none")
    numbers = genes[["observed", "baseMean", "log2FoldChange", "padj"]].to_numpy(dtype=float).tolist()
    return [head] + [
        f"{gene:<18}{reads:>9,.0f}{expected:>10,.0f}{change:>+13.2f}{padj:>10.1e}   {truth}"
        for gene, (reads, expected, change, padj), truth in zip(genes["gene"], numbers, planted, strict=True)
    ]
