# SPDX-License-Identifier: BSD-3-Clause
"""The commands of `pydgd` under their names. Nothing heavy is imported before a command runs."""

from typing import Annotated

import typer

from pydgd._version import __version__
from pydgd.cli.adapt import adapt
from pydgd.cli.calibrate import calibrate
from pydgd.cli.closest_normal import closest_normal
from pydgd.cli.cohort import COHORT_OPTIONS, cohort
from pydgd.cli.common import with_common_options
from pydgd.cli.convert import CONVERT_OPTIONS, convert
from pydgd.cli.de import de
from pydgd.cli.de_options import DE_OPTIONS
from pydgd.cli.demo import demo
from pydgd.cli.download_options import DOWNLOAD_OPTIONS
from pydgd.cli.embed import EMBED_OPTIONS, embed
from pydgd.cli.fine_tune import FINE_TUNE_OPTIONS, fine_tune
from pydgd.cli.gene_sets import GENE_SET_OPTIONS, gene_sets
from pydgd.cli.genes import genes
from pydgd.cli.impute import impute
from pydgd.cli.info import info
from pydgd.cli.mixture import MIXTURE_OPTIONS, mixture
from pydgd.cli.models import fetch, list_models, models
from pydgd.cli.plot import PICTURE_OPTIONS, PLOTS
from pydgd.cli.preprocess import preprocess
from pydgd.cli.reading import READING_OPTIONS
from pydgd.cli.recount3 import RECOUNT3_OPTIONS, recount3
from pydgd.cli.report import report
from pydgd.cli.residuals import residuals
from pydgd.cli.saliency import saliency
from pydgd.cli.search_options import SEARCH_OPTIONS
from pydgd.cli.simulate import SIMULATION_OPTIONS, simulate
from pydgd.cli.train import train
from pydgd.cli.training_options import TRAINING_OPTIONS
from pydgd.cli.wording import flowing

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _name, _command, _options in (
    ("train", train, READING_OPTIONS | TRAINING_OPTIONS),
    ("fine-tune", fine_tune, FINE_TUNE_OPTIONS),
    ("adapt", adapt, READING_OPTIONS),
    ("closest-normal", closest_normal, READING_OPTIONS | SEARCH_OPTIONS),
    ("de", de, READING_OPTIONS | SEARCH_OPTIONS | DE_OPTIONS),
    ("impute", impute, READING_OPTIONS | SEARCH_OPTIONS),
    ("calibrate", calibrate, READING_OPTIONS),
    ("residuals", residuals, None),
    ("gene-sets", gene_sets, GENE_SET_OPTIONS),
    ("embed", embed, EMBED_OPTIONS),
    ("mixture", mixture, MIXTURE_OPTIONS),
    ("cohort", cohort, COHORT_OPTIONS),
    ("saliency", saliency, None),
    ("report", report, READING_OPTIONS | SEARCH_OPTIONS),
    ("info", info, None),
    ("preprocess", preprocess, READING_OPTIONS),
    ("genes", genes, DOWNLOAD_OPTIONS),
    ("recount3", recount3, RECOUNT3_OPTIONS),
    ("convert", convert, CONVERT_OPTIONS),
    ("simulate", simulate, SIMULATION_OPTIONS),
    ("demo", demo, None),
):
    app.command(_name, help=flowing(_command.__doc__))(with_common_options(_command, _options))

_plot = typer.Typer(no_args_is_help=True, help="Draw a picture of a table or a model.")
for _kind, _draw in PLOTS.items():
    _plot.command(_kind, help=flowing(_draw.__doc__))(with_common_options(_draw, PICTURE_OPTIONS))
app.add_typer(_plot, name="plot")

_models = typer.Typer(invoke_without_command=True, help=flowing(models.__doc__), callback=models)
_models.command("list", help=flowing(list_models.__doc__))(with_common_options(list_models))
_models.command("fetch", help=flowing(fetch.__doc__))(with_common_options(fetch))
app.add_typer(_models, name="models")


def _print_version(*, wanted: bool) -> bool:
    if wanted:
        typer.echo(f"pydgd {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _pydgd(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    """Find a sample's closest normal with a deep generative decoder, and the genes that differ from it.

    Start with: pydgd demo
    """
