# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd gene-sets`: which pathways moved?"""

import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pydgd.cli import analysis_options as shared
from pydgd.cli.common import Choice
from pydgd.cli.outputs import TABLES, check_output
from pydgd.cli.terminal import Terminal
from pydgd.errors import ConfigError

_OVER, _RANKED = "Over-representation", "Rank-based enrichment (gsea)"
METHODS = ("over-representation", "gsea")


def _number(kind: Any, name: str, says: str, panel: str, default: Any, **bounds: Any) -> Choice:  # noqa: ANN401
    return Choice(Annotated[kind, typer.Option(name, help=says, rich_help_panel=panel, **bounds)], default)


GENE_SET_OPTIONS = {
    "direction": _number(
        str, "--direction", "Calls that count: any, up or down.", _OVER, "any", metavar="any|up|down"
    ),
    "padj": Choice(shared.Padj, 0.05),
    "log2fc": Choice(shared.Log2FC, 0.0),
    "adjust": _number(str, "--adjust", "Adjustment over the sets of a sample.", _OVER, "bh", metavar="bh|by"),
    "rank_by": _number(str, "--rank-by", "Column that ranks the genes, high for up.", _RANKED, "stat"),
    "permutations": _number(int, "--permutations", "How often labels are shuffled.", _RANKED, 1000),
    "weight": _number(float, "--weight", "Exponent of the ranking's values.", _RANKED, 1.0),
    "seed": _number(int, "--seed", "Decides the permutations.", _RANKED, 0, min=0),
}


def gene_sets(
    terminal: Terminal,
    table: shared.ResultTable,
    sets: Annotated[
        list[Path],
        typer.Argument(
            metavar="SETS...",
            help="Files *.gmt, or lists with one gene per line, each a set of the file's name.",
            show_default=False,
        ),
    ],
    output: shared.Output,
    *,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="over-representation|gsea",
            help="Test called genes, or all genes by their ranks (needs the extra gsea).",
        ),
    ] = METHODS[0],
    min_genes: Annotated[
        int | None,
        typer.Option(
            "--min-genes",
            help="Sets with fewer tested genes are left out; 1 (gsea: 5).",
            show_default=False,
        ),
    ] = None,
    max_genes: Annotated[
        int | None,
        typer.Option(
            "--max-genes",
            help="Sets with more tested genes are left out; none (gsea: 500).",
            show_default=False,
        ),
    ] = None,
    per_sample: Annotated[
        Path | None,
        typer.Option(
            "--per-sample",
            metavar="FOLDER",
            help="Write also one table per sample, of the format of --output, into this folder.",
            show_default=False,
        ),
    ] = None,
    **testing: Any,  # noqa: ANN401  # typer checks them
) -> None:
    """Test gene sets on every sample of a table of differential expression.

    The table has one row per sample and set. Over-representation gives n_overlap, e_score (observed over
    expected overlap), pvalue (hypergeometric; the background are the sample's tested genes) and padj; gsea
    gives es, nes, pvalue and padj. Files that are there already are replaced.
    """
    start = time.monotonic()
    ending = check_output(output, TABLES, inputs=[table, *sets])
    if method not in METHODS:
        raise ConfigError(f"method is {method!r}; choose one of {', '.join(METHODS)}")
    from pydgd import tl
    from pydgd.cli.result_tables import read_table, write_and_say, write_per_sample

    given = tl.read_gene_sets(sets)
    results = read_table(table, needs=["sample", "gene", "log2FoldChange", "padj"])
    sizes = {"min_genes": min_genes, "max_genes": max_genes}
    options: dict[str, Any] = {name: value for name, value in sizes.items() if value is not None}
    if method == "gsea":
        options |= {name: testing[name] for name in ("rank_by", "permutations", "weight", "seed")}
        # What --threads says, as every library is told.
        options["threads"] = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
        with terminal.progress("enrichment", "samples") as progress:
            found = tl.gsea(results, given, **options, progress=progress)
    else:
        options |= {name: testing[name] for name in ("direction", "padj", "log2fc", "adjust")}
        found = tl.over_representation(results, given, **options)
    terminal.say(f"gene sets with padj < 0.05: {(found['padj'] < 0.05).sum():,} of {len(found):,}")
    write_and_say(terminal, found, output, since=start)
    if per_sample is not None:
        write_per_sample(terminal, found, per_sample, ending)
