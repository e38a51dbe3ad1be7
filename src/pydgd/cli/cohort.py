# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd cohort`: what do the samples of a group have in common?"""

import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from pydgd.cli import analysis_options as shared
from pydgd.cli.common import Choice
from pydgd.cli.outputs import TABLES, check_output
from pydgd.cli.terminal import Terminal

COHORT_OPTIONS = {
    "consensus": shared.further_table(
        "--consensus", "Write the genes that the samples of a group agree about."
    ),
    "summary": shared.further_table(
        "--summary", "Write how many genes are called in the samples of each group."
    ),
    "samples": shared.further_table(
        "--samples", "Write how many genes are called in each sample, most first."
    ),
    "genes": shared.further_table("--genes", "Write in how many samples each gene is called, most first."),
    "matrix": shared.further_table("--matrix", "Write calls, samples x genes: 1 up, -1 down, 0 not called."),
    "min_share": Choice(
        Annotated[
            float,
            typer.Option(
                "--min-share",
                help="Share of samples that agree, for --consensus.",
                rich_help_panel=shared.VIEWS,
            ),
        ],
        0.5,
    ),
    "min_samples": Choice(
        Annotated[
            int,
            typer.Option(
                "--min-samples",
                help="Fewest samples that agree, for --consensus.",
                rich_help_panel=shared.VIEWS,
            ),
        ],
        2,
    ),
    "top": Choice(
        Annotated[
            int | None,
            typer.Option(
                "--top",
                help="Only so many genes in --matrix.",
                show_default=False,
                rich_help_panel=shared.VIEWS,
            ),
        ],
        None,
    ),
}


def cohort(
    terminal: Terminal,
    table: shared.ResultTable,
    output: shared.Output,
    *,
    groups: shared.Groups = None,
    group_column: shared.GroupColumn = None,
    padj: shared.Padj = 0.05,
    log2fc: shared.Log2FC = 0.0,
    **more: Any,  # noqa: ANN401  # typer checks them
) -> None:
    """Count in how many samples of each group every gene is called, and say how surprising that is.

    The table has one row per group and gene: group, gene, n_samples, n_called, n_up, n_down, share,
    median_log2FoldChange, pvalue, padj. Files that are there already are replaced.
    """
    start = time.monotonic()
    inputs = [path for path in (table, groups) if path is not None]
    names = ("consensus", "summary", "samples", "genes", "matrix")
    views = {name: more[name] for name in names if more[name] is not None}
    for path in (output, *views.values()):
        check_output(path, TABLES, inputs=inputs)
    from pydgd import tl
    from pydgd.cli.result_tables import named, read_groups, read_table, write_and_say

    results = read_table(table, needs=["sample", "gene", "log2FoldChange", "padj"])
    calls: dict[str, Any] = {"padj": padj, "log2fc": log2fc}
    grouped = {**calls, "groups": read_groups(groups, group_column)}
    agree = {name: more[name] for name in ("min_share", "min_samples")}
    work: dict[str, Callable[[], Any]] = {
        "consensus": lambda: tl.consensus(results, **grouped, **agree),
        "summary": lambda: tl.group_summary(results, **grouped),
        "samples": lambda: tl.aberrant_samples(results, **calls),
        "genes": lambda: tl.aberrant_genes(results, **calls),
        "matrix": lambda: named(tl.call_matrix(results, top=more["top"], **calls)),
    }
    found = {name: work[name]() for name in views}
    write_and_say(terminal, tl.recurrence(results, **grouped), output, since=start)
    for name, path in views.items():
        write_and_say(terminal, found[name], path)
