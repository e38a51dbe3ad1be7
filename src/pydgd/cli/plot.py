# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd plot KIND`: the pictures of `pydgd.pl` from files."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from pydgd.cli import analysis_options
from pydgd.cli import options as shared
from pydgd.cli.common import Choice
from pydgd.cli.terminal import Terminal

PICTURES = (".png", ".pdf", ".svg")
_PANEL = "The picture"
# As matplotlib draws no picture of more than 65,535 dots a side.
_MOST_INCHES, _MOST_DPI = 100.0, 600

PICTURE_OPTIONS = {
    "width": Choice(
        Annotated[
            float,
            typer.Option("--width", min=1.0, max=_MOST_INCHES, help="In inches.", rich_help_panel=_PANEL),
        ],
        7.5,
    ),
    "height": Choice(
        Annotated[
            float,
            typer.Option("--height", min=1.0, max=_MOST_INCHES, help="In inches.", rich_help_panel=_PANEL),
        ],
        5.5,
    ),
    "dpi": Choice(
        Annotated[
            int,
            typer.Option("--dpi", min=10, max=_MOST_DPI, help="Dots per inch.", rich_help_panel=_PANEL),
        ],
        150,
    ),
    "style": Choice(
        Annotated[
            str | None,
            typer.Option(
                "--style",
                help="A style of matplotlib, or a file *.mplstyle: fonts, colours, ticks and all else.",
                show_default=False,
                rich_help_panel=_PANEL,
            ),
        ],
        None,
    ),
}

Picture = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="PICTURE", help=f"*{', *'.join(PICTURES)}.", show_default=False),
]
Sample = Annotated[
    str | None,
    typer.Option("--sample", help="Which sample; may be left out if there is one.", show_default=False),
]
LabelTop = Annotated[int, typer.Option("--label-top", min=0, help="How many genes to name.")]


def _of_genes(kind: str, says: str) -> Callable[..., None]:
    """A command that draws the called genes of a sample and names the surest of them."""

    def command(
        terminal: Terminal,
        table: analysis_options.ResultTable,
        output: Picture,
        *,
        sample: Sample = None,
        padj: analysis_options.Padj = 0.05,
        log2fc: analysis_options.Log2FC = 1.0,
        label_top: LabelTop = 10,
        **picture: Any,  # noqa: ANN401  # PICTURE_OPTIONS
    ) -> None:
        from pydgd import pl
        from pydgd.cli.drawing import draw_table

        draw_table(
            terminal, table, output, picture, getattr(pl, kind),
            sample=sample, padj=padj, log2fc=log2fc, label_top=label_top,
        )  # fmt: skip

    command.__doc__ = says
    return command


def observed_expected(
    terminal: Terminal,
    table: analysis_options.ResultTable,
    output: Picture,
    *,
    sample: Sample = None,
    padj: analysis_options.Padj = 0.05,
    log2fc: analysis_options.Log2FC = 1.0,
    band: Annotated[
        float, typer.Option("--band", help="Share of healthy reads that the band holds; 0 for no band.")
    ] = 0.95,
    **picture: Any,  # noqa: ANN401  # PICTURE_OPTIONS
) -> None:
    """Reads of a sample's genes against those of its closest normal, with a prediction band."""
    from pydgd import pl
    from pydgd.cli.drawing import draw_table

    draw_table(
        terminal, table, output, picture, pl.observed_expected,
        sample=sample, padj=padj, log2fc=log2fc, band=band or None,
    )  # fmt: skip


def dispersion_mean(
    terminal: Terminal,
    table: analysis_options.ResultTable,
    output: Picture,
    **picture: Any,  # noqa: ANN401  # PICTURE_OPTIONS
) -> None:
    """Dispersion of each gene among healthy samples against its mean reads."""
    from pydgd import pl
    from pydgd.cli.drawing import draw_table

    draw_table(terminal, table, output, picture, pl.dispersion_mean)


def r_values(
    terminal: Terminal,
    tables: Annotated[
        list[Path],
        typer.Argument(
            metavar="TABLE...",
            help="What `pydgd de` wrote, of one model or of several to compare: each is a group.",
            show_default=False,
        ),
    ],
    output: Picture,
    *,
    kind: Annotated[
        str, typer.Option("--kind", metavar="histogram|violin|box", help="How to draw it.")
    ] = "histogram",
    **picture: Any,  # noqa: ANN401  # PICTURE_OPTIONS
) -> None:
    """Distribution of the genes' inverse dispersion r."""
    from pydgd.cli.drawing import draw_r_values

    draw_r_values(terminal, tables, output, picture, kind=kind)


def residual_heatmap(
    terminal: Terminal,
    table: analysis_options.ResultTable,
    output: Picture,
    *,
    n_genes: Annotated[int, typer.Option("--genes", min=1, help="How many genes to show.")] = 50,
    limit: Annotated[float, typer.Option("--limit", help="Residual at which the colours end.")] = 5.0,
    ordered: Annotated[
        bool,
        typer.Option("--ordered/--as-given", help="Put like beside like, or keep the order of the table."),
    ] = True,
    **picture: Any,  # noqa: ANN401  # PICTURE_OPTIONS
) -> None:
    """The largest residuals of many samples, from the table of `pydgd de` or of `pydgd residuals`."""
    from pydgd import pl
    from pydgd.cli.drawing import draw_table

    draw_table(
        terminal, table, output, picture, pl.residual_heatmap, n_genes=n_genes, limit=limit, ordered=ordered
    )


def enrichment(
    terminal: Terminal,
    table: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE", help="Gene sets: columns gene_set, padj and perhaps sample.", show_default=False
        ),
    ],
    output: Picture,
    *,
    sample: Sample = None,
    value: Annotated[
        str, typer.Option("--value", metavar="COLUMN", help="Length of the bars; padj: its -log10.")
    ] = "padj",
    top: Annotated[int, typer.Option("--top", min=1, help="How many sets to show.")] = 15,
    padj: Annotated[float, typer.Option("--padj", help="Bars below it are coloured.")] = 0.05,
    **picture: Any,  # noqa: ANN401  # PICTURE_OPTIONS
) -> None:
    """The gene sets that a sample's changed genes fall into."""
    from pydgd import pl
    from pydgd.cli.drawing import draw_table

    draw_table(
        terminal, table, output, picture, pl.enrichment_bars, sample=sample, value=value, top=top, padj=padj
    )


def recurrence(
    terminal: Terminal,
    table: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE",
            help="What `pydgd de` or `pydgd cohort` wrote, or a table with gene, n_up, n_down and n_tested.",
            show_default=False,
        ),
    ],
    output: Picture,
    *,
    group: Annotated[
        str | None,
        typer.Option("--group", help="Which group, if the table has several.", show_default=False),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="How many genes to show.")] = 25,
    padj: analysis_options.Padj = 0.05,
    log2fc: analysis_options.Log2FC = 1.0,
    **picture: Any,  # noqa: ANN401  # PICTURE_OPTIONS
) -> None:
    """The genes that are called in most samples of a cohort."""
    from pydgd import pl
    from pydgd.cli.drawing import draw_table

    draw_table(
        terminal, table, output, picture, pl.recurrence, group=group, top=top, padj=padj, log2fc=log2fc
    )


def latent_map(
    terminal: Terminal,
    model: shared.ModelFile,
    output: Picture,
    *,
    query: Annotated[
        Path | None,
        typer.Option(
            "--query",
            metavar="FILE",
            help="What `pydgd closest-normal` wrote: its samples are drawn on top.",
            show_default=False,
        ),
    ] = None,
    color_by: Annotated[
        str | None,
        typer.Option(
            "--color-by",
            metavar="COLUMN",
            help="Column of the query's obs that colours its samples: words, or numbers on a colour bar.",
            show_default=False,
        ),
    ] = None,
    **picture: Any,  # noqa: ANN401  # PICTURE_OPTIONS
) -> None:
    """Where the training samples lie in latent space, and a query on top."""
    from pydgd.cli.drawing import draw_latent_map

    draw_latent_map(terminal, model, output, picture, query=query, color_by=color_by)


def embedding(
    terminal: Terminal,
    table: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE", help="One row per sample, with two columns of places.", show_default=False
        ),
    ],
    output: Picture,
    *,
    x: Annotated[str, typer.Option("--x", metavar="COLUMN", help="To the right.", show_default=False)],
    y: Annotated[str, typer.Option("--y", metavar="COLUMN", help="Upwards.", show_default=False)],
    color_by: Annotated[
        str | None,
        typer.Option("--color-by", metavar="COLUMN", help="Words or numbers.", show_default=False),
    ] = None,
    **picture: Any,  # noqa: ANN401  # PICTURE_OPTIONS
) -> None:
    """Samples at places that a table gives, such as those of an embedding."""
    from pydgd.cli.drawing import draw_embedding

    draw_embedding(terminal, table, output, picture, x=x, y=y, color_by=color_by)


def loss_history(
    terminal: Terminal,
    model: shared.ModelFile,
    output: Picture,
    **picture: Any,  # noqa: ANN401  # PICTURE_OPTIONS
) -> None:
    """How a model's training went."""
    from pydgd.cli.drawing import draw_history

    draw_history(terminal, model, output, picture)


PLOTS: dict[str, Callable[..., None]] = {
    "volcano": _of_genes("volcano", "How much each gene of a sample changed against how sure that is."),
    "ma": _of_genes("ma", "How much each gene of a sample changed against how many reads are expected."),
    "observed-expected": observed_expected,
    "dispersion-mean": dispersion_mean,
    "r-values": r_values,
    "residual-heatmap": residual_heatmap,
    "enrichment": enrichment,
    "recurrence": recurrence,
    "latent-map": latent_map,
    "embedding": embedding,
    "loss-history": loss_history,
}
"""Kind of picture → command; that of a calibration is `pydgd calibrate --plot`."""
