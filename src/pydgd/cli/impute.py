# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd impute`: how many reads would the genes that were not measured have?"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pydgd.cli import options as shared
from pydgd.cli.found import AnnDataFile, write_found
from pydgd.cli.terminal import Terminal
from pydgd.errors import GeneMismatchError

if TYPE_CHECKING:
    from anndata import AnnData

    from pydgd import DGD
    from pydgd.inference import ClosestNormal


def impute(
    terminal: Terminal,
    model: shared.ModelFile,
    counts: shared.CountsFile,
    output: AnnDataFile,
    *,
    targets: Annotated[
        str,
        typer.Option(
            "--targets",
            metavar="missing|all|GENES",
            help="Genes: those of the model that COUNTS lacks, all, or names with commas between.",
        ),
    ] = "missing",
    level: Annotated[
        float, typer.Option("--level", help="Share of healthy samples whose reads lie within the bounds.")
    ] = 0.9,
    point: shared.Point = "posterior",
    min_shared: shared.MinShared = 0.5,
    gene_table: shared.GeneTableFile = None,
    **options: Any,  # noqa: ANN401  # typer checks them
) -> None:
    """Expected reads of genes that were not measured, with bounds for the reads of healthy samples.

    The h5ad holds the samples of COUNTS and these genes: X and layers["mean"] (expected reads at the sample's
    depth), layers["lower"] and layers["upper"], and the fit in obs. A file that is there already is replaced.
    """
    asked = dict(point=point, min_shared=min_shared, gene_table=gene_table, **options)
    wanted = _Wanted(counts, targets, level)
    write_found(terminal, model, counts, output, wanted.of, **asked)


class _Wanted:
    """Which genes are imputed, and how.

    Args:
        counts: File of the counts, for error messages.
        targets: ``missing``, ``all``, or names with commas between.
        level: As in `DGD.impute`.
    """

    def __init__(self, counts: Path, targets: str, level: float) -> None:
        self._counts, self._level = counts, level
        names = [name for part in targets.split(",") if (name := part.strip())]
        self._targets = targets if targets in ("missing", "all") else names

    def of(self, model: "DGD") -> "Callable[[AnnData, ClosestNormal], AnnData]":
        """What makes a part of the result; refuses genes that the model lacks."""
        from pydgd.inference.imputation import checked_targets, imputed

        targets = checked_targets(self._targets, level=self._level, genes=model.genes)

        def part_of(_: "AnnData", normal: "ClosestNormal") -> "AnnData":
            part = imputed(normal, targets=targets, level=self._level)
            if part.n_vars:
                return part
            raise GeneMismatchError(
                f"{self._counts} lacks none of the model's {len(model.genes):,} genes: nothing is missing; "
                "name genes with --targets, or --targets all"
            )

        return part_of
