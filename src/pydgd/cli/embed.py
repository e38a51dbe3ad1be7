# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd embed`: samples in a plane."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from pydgd.cli import analysis_options as shared
from pydgd.cli.common import Choice
from pydgd.cli.outputs import TABLES, Announcement, check_output
from pydgd.cli.terminal import Terminal
from pydgd.errors import ConfigError

_FIT, _COLUMNS = "How it is fitted", "What is embedded"


def _option(kind: Any, name: str, says: str, panel: str, default: Any, **more: Any) -> Choice:  # noqa: ANN401
    return Choice(Annotated[kind, typer.Option(name, help=says, rich_help_panel=panel, **more)], default)


EMBED_OPTIONS = {
    "n_components": _option(int, "--n-components", "Number of coordinates.", _FIT, 2),
    "prefix": _option(str, "--prefix", "Of the coordinates' names.", _FIT, "C"),
    "seed": _option(int, "--seed", "Decides what is random.", _FIT, 0, min=0),
    "option": _option(
        list[str] | None,
        "--option",
        "An option of the library, such as perplexity=10. May be given several times.",
        _FIT,
        None,
        metavar="NAME=VALUE",
        show_default=False,
    ),
    "columns": _option(
        str | None,
        "--columns",
        "Names with commas between, or a regular expression; by default z1, z2, … or, without them, all "
        "numbers.",
        _COLUMNS,
        None,
        metavar="NAMES|REGEX",
        show_default=False,
    ),
    "fill_nan": _option(float | None, "--fill-nan", "What stands for missing values.", _COLUMNS, None),
    "fill_inf": _option(float | None, "--fill-inf", "What stands for infinity.", _COLUMNS, None),
    "fill_neg_inf": _option(
        float | None, "--fill-neg-inf", "What stands for minus infinity.", _COLUMNS, None
    ),
    "keep": _option(
        bool, "--keep/--no-keep", "Write the columns that were not embedded too.", _COLUMNS, default=True
    ),
}


def embed(
    terminal: Terminal,
    data: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATA...",
            help="A model (its training samples), what `pydgd closest-normal` wrote, or a table with sample "
            "names first. Several are embedded together.",
            show_default=False,
        ),
    ],
    output: shared.Output,
    *,
    method: Annotated[
        str,
        typer.Option("--method", metavar="pca|kpca|mds|tsne|umap", help="How to embed; umap is an extra."),
    ] = "pca",
    fitted: Annotated[
        Path | None,
        typer.Option(
            "--fitted",
            metavar="FILE",
            help="Place the samples in an embedding that --save wrote, instead of fitting one.",
            show_default=False,
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            metavar="FILE",
            help="Keep the fitted embedding for new samples (pca and kpca): *.safetensors.",
            show_default=False,
        ),
    ] = None,
    **fitting: Any,  # noqa: ANN401  # typer checks them
) -> None:
    """Give each sample coordinates in few dimensions, fitted on all of them or read from a file.

    The table has one row per sample: sample, C1, C2, …, and the columns that were not embedded. Files that
    are there already are replaced.
    """
    start = time.monotonic()
    inputs = [*data, *([] if fitted is None else [fitted])]
    check_output(output, TABLES, inputs=inputs)
    if save is not None:
        check_output(save, [".safetensors"], inputs=inputs)
    if save is not None and fitted is not None:
        raise ConfigError("--fitted and --save exclude each other: that embedding has its file already")
    options = _parsed(fitting.pop("option") or [])
    from pydgd import tl
    from pydgd.cli.embed_input import read_samples
    from pydgd.cli.result_tables import named, write_and_say

    samples, keep = read_samples(data), fitting.pop("keep")
    fill = tl.Fill(*(fitting.pop(name) for name in ("fill_nan", "fill_inf", "fill_neg_inf")))
    if fitted is not None:
        used = tl.Embedding.load(fitted)
    else:
        fitting["columns"] = _columns(fitting["columns"], set(samples.columns))
        used = tl.fit_embedding(samples, method, fill=fill, **fitting, **options)
    found = tl.embed(samples, fitted=used, keep=keep) if fitted else _with_rest(used, samples, keep=keep)
    if save is not None:
        news = Announcement(save)
        used.save(save)
        news.say(terminal)
    write_and_say(terminal, named(found), output, since=start)


def _with_rest(used: Any, samples: Any, *, keep: bool) -> Any:  # noqa: ANN401  # pandas is not loaded yet
    """Coordinates of the samples that were fitted, and the columns that were not embedded."""
    rest = [name for name in samples if name not in used.columns and name not in used.coordinates]
    return used.coordinates.join(samples[rest]) if keep else used.coordinates


def _columns(text: str | None, there: set[str]) -> str | list[str] | None:
    """Names if all parts are columns, else a pattern."""
    names = [] if text is None else [part.strip() for part in text.split(",")]
    return names if text is not None and set(names) <= there else text


def _parsed(options: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in options:
        name, sign, value = text.partition("=")
        if not sign or not name.isidentifier():
            raise ConfigError(f"cannot read --option {text!r}; write NAME=VALUE, e.g. perplexity=10")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found
