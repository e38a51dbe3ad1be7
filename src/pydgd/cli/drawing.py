# SPDX-License-Identifier: BSD-3-Clause
"""Pictures as files. Heavy: commands import it when they run."""

import re
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
from anndata.io import read_elem
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pydgd.cli.outputs import Announcement, check_output
from pydgd.cli.plot import PICTURES
from pydgd.cli.result_tables import read_table
from pydgd.cli.terminal import Terminal
from pydgd.data.hdf5 import damage_named, open_h5ad
from pydgd.dgd import DGD
from pydgd.errors import ConfigError, FileFormatError
from pydgd.files import atomic_write
from pydgd.plotting import latent_map, loss_history, r_values

Draw = Callable[[Axes], object]
_MOST_DOTS = 400_000_000


def draw_table(
    terminal: Terminal,
    table: Path,
    output: Path,
    picture: Mapping[str, Any],
    draw: Callable[..., Axes],
    **options: Any,  # noqa: ANN401  # those of `draw`
) -> None:
    """Draw a table.

    Args:
        terminal: Where to say what was written.
        table: The file.
        output: The picture.
        picture: Values of `pydgd.cli.plot.PICTURE_OPTIONS`.
        draw: A function of `pydgd.pl` that takes a table.
        **options: Its options.

    Raises:
        PyDGDError: If the table cannot be read or drawn, or the picture not written.
    """
    check_output(output, PICTURES, inputs=[table])
    frame = read_table(table)
    # `pydgd residuals` writes the samples' names into the first column and genes into the others.
    if "sample" in frame and "gene" not in frame and "gene_set" not in frame:
        frame = frame.set_index("sample")
    _save(terminal, lambda ax: draw(frame, **options, ax=ax), output, picture, source=table)


def draw_r_values(
    terminal: Terminal, tables: Sequence[Path], output: Path, picture: Mapping[str, Any], *, kind: str
) -> None:
    """Draw the distribution of r, each table a group of its file's name, or path where names are the same.

    Args:
        terminal: Where to say what was written.
        tables: What `pydgd de` wrote.
        output: The picture.
        picture: Values of `pydgd.cli.plot.PICTURE_OPTIONS`.
        kind: As `pydgd.pl.r_values` takes it.
    """
    check_output(output, PICTURES, inputs=tables)
    if len(set(tables)) < len(tables):
        raise ConfigError("the same table is given twice; give each once")
    told_apart = len({path.stem for path in tables}) == len(tables)
    groups = {
        path.stem if told_apart else str(path): read_table(path, needs=["gene", "r"])
        .groupby("gene", observed=True)["r"]
        .mean()
        for path in tables
    }
    frame = pd.DataFrame(groups)
    _save(terminal, lambda ax: r_values(frame, kind=kind, ax=ax), output, picture, source=tables[0])


def draw_latent_map(
    terminal: Terminal,
    model: Path,
    output: Path,
    picture: Mapping[str, Any],
    *,
    query: Path | None,
    color_by: str | None,
) -> None:
    """Draw the latent space of a model, with a query on top.

    Args:
        terminal: Where to say what was written.
        model: The model file.
        output: The picture.
        picture: Values of `pydgd.cli.plot.PICTURE_OPTIONS`.
        query: What `pydgd closest-normal` wrote.
        color_by: Column of its obs.
    """
    check_output(output, PICTURES, inputs=[model, *([] if query is None else [query])])
    if color_by is not None and query is None:
        raise ConfigError("--color-by names a column of the query; give one with --query")
    trained = DGD.load(model)
    labels, stars, star_labels = trained.labels, None, None
    if query is not None:
        stars, obs = _read_query(query)
        star_labels = None if color_by is None else _column(obs, color_by, query)
        if star_labels is not None and pd.api.types.is_float_dtype(star_labels):
            # Numbers and tissues share no colours.
            labels = None
    _save(
        terminal,
        lambda ax: latent_map(
            trained.representations, labels=labels, queries=stars, query_labels=star_labels, ax=ax
        ),
        output,
        picture,
        source=model,
    )


def draw_embedding(
    terminal: Terminal,
    table: Path,
    output: Path,
    picture: Mapping[str, Any],
    *,
    x: str,
    y: str,
    color_by: str | None,
) -> None:
    """Draw samples at given places.

    Args:
        terminal: Where to say what was written.
        table: One row per sample.
        output: The picture.
        picture: Values of `pydgd.cli.plot.PICTURE_OPTIONS`.
        x: Column to the right.
        y: Column upwards.
        color_by: Column of words or numbers.
    """
    check_output(output, PICTURES, inputs=[table])
    frame = read_table(table, needs=[x, y, *([] if color_by is None else [color_by])])
    labels = None if color_by is None else frame[color_by]
    _save(
        terminal,
        lambda ax: latent_map(frame[[x, y]], labels=labels, method="columns", ax=ax),
        output,
        picture,
        source=table,
    )


def draw_history(terminal: Terminal, model: Path, output: Path, picture: Mapping[str, Any]) -> None:
    """Draw how a model's training went.

    Args:
        terminal: Where to say what was written.
        model: The model file.
        output: The picture.
        picture: Values of `pydgd.cli.plot.PICTURE_OPTIONS`.
    """
    check_output(output, PICTURES, inputs=[model])
    trained = DGD.load(model)
    _save(terminal, lambda ax: loss_history(trained.history, ax=ax), output, picture, source=model)


def _save(terminal: Terminal, draw: Draw, output: Path, picture: Mapping[str, Any], *, source: Path) -> None:
    _check_size(output, picture)
    news = Announcement(output)
    with style.context(_style(picture["style"])):
        figure = Figure(figsize=(picture["width"], picture["height"]), layout="constrained")
        try:
            draw(figure.subplots())
        except ValueError as error:
            raise ConfigError(re.sub(r"(\w+)=\.\.\.", r"--\1", f"{source}: {error}")) from error
        save_figure(figure, output, dpi=picture["dpi"])
    news.say(terminal)


def save_figure(figure: Figure, output: Path, *, dpi: int) -> None:
    """Write a picture; whatever stood there is replaced once it is complete.

    Args:
        figure: What was drawn.
        output: Ends in one of `PICTURES`.
        dpi: Dots per inch.

    Raises:
        OutputError: If it cannot be written, for instance because the disk is full.
    """
    # matplotlib's writer of PDF answers a full disk with an error of its own, about a closed file.
    content = BytesIO()
    figure.savefig(content, format=output.suffix[1:].lower(), dpi=dpi)
    with atomic_write(output) as temporary:
        temporary.write_bytes(content.getbuffer())


def _check_size(output: Path, picture: Mapping[str, Any]) -> None:
    """Refuse pictures of dots that no screen or printer takes, and that take gigabytes to draw."""
    n_dots = picture["width"] * picture["height"] * picture["dpi"] ** 2
    if output.suffix.lower() == ".png" and n_dots > _MOST_DOTS:
        raise ConfigError(
            f"a picture of {picture['width']:g} x {picture['height']:g} inches at {picture['dpi']} dots an "
            f"inch has {n_dots:,.0f} dots, {_MOST_DOTS:,} at most are drawn; lower --dpi, or write *.pdf"
        )


def _style(name: str | None) -> list[str]:
    if name is None:
        return []
    if name not in style.available and not Path(name).is_file():
        raise ConfigError(f"no style {name!r}: give a file *.mplstyle or one of {', '.join(style.available)}")
    return [name]


def _read_query(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Representations and labels of the samples."""
    with open_h5ad(path) as file, damage_named(path):
        if "obsm/X_dgd" not in file:
            raise FileFormatError(f"{path}: no obsm['X_dgd']; give what pydgd closest-normal wrote")
        obs = read_elem(file["obs"])
        return pd.DataFrame(read_elem(file["obsm/X_dgd"]), index=obs.index), obs


def _column(obs: pd.DataFrame, name: str, path: Path) -> pd.Series:
    if name not in obs:
        raise ConfigError(f"{path} has no column {name!r} in obs; there is {', '.join(obs.columns)}")
    return obs[name]
