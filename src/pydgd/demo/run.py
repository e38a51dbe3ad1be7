# SPDX-License-Identifier: BSD-3-Clause
"""The whole job on simulated samples: train, find closest normals, test, compare with the truth."""

import time
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pydgd.data import simulate_cohort
from pydgd.data.h5ad_writer import write_h5ad
from pydgd.demo.judge import Answers, accuracy_of, case_of
from pydgd.demo.result import FILES, DemoResult
from pydgd.dgd import DGD
from pydgd.differential import differential_expression
from pydgd.files import atomic_write, make_folder
from pydgd.patients import draw_patients
from pydgd.plotting import latent_map, volcano

_OF_TRAINING = ("normals.h5ad", "normals.dgd")
_STEPS = ("simulating", "training", "finding closest normals", "testing genes", "drawing")

Report = Callable[[int, int, str], None]
Step = Callable[[str], None]


def run_demo(
    directory: str | PathLike[str] = "pydgd-demo",
    *,
    model: str | PathLike[str] | None = None,
    seed: int = 0,
    progress: Report | None = None,
) -> DemoResult:
    """Simulate cases, find their closest normals, test, compare with the truth, and write all of it.

    Args:
        directory: Folder to write into; made if it is missing. Files of an earlier demo are replaced.
        model: A model's file or name, from which cases are drawn; by default healthy samples are simulated,
            too, and a model is trained on them.
        seed: Decides every random choice.
        progress: Called with steps done, steps in all, and what is being done.

    Returns:
        What was found, and where the files are.

    Raises:
        ConfigError: If cases cannot be drawn from the model.
        ModelFileError: If there is no such model.
        OutputError: If the folder cannot be written to.
    """
    start = time.monotonic()
    folder = make_folder(directory)
    report = progress or (lambda *_: None)
    steps = [name for name in _STEPS if model is None or name != "training"]

    def step(name: str) -> None:
        report(steps.index(name), len(steps), name)

    step("simulating")
    trained, cases, truth = _trained(folder, seed, step) if model is None else _given(model, seed)
    write_h5ad(cases, folder / "cases.h5ad", compression="gzip")
    _write_csv(truth, folder / "truth.csv")
    step("finding closest normals")
    normal = trained.closest_normal(cases)
    step("testing genes")
    table = differential_expression(cases, normal)
    _write_csv(table, folder / "de.csv")
    answers = Answers(trained, cases, truth, normal, table)
    sample = str(cases.obs_names[cases.obs["kind"] == "changed"][0])
    step("drawing")
    _draw(answers, folder, sample)
    report(len(steps), len(steps), "done")
    return DemoResult(
        directory=folder,
        case=case_of(answers, sample),
        accuracy=accuracy_of(answers),
        seconds=time.monotonic() - start,
        files={name: what for name, what in FILES.items() if model is None or name not in _OF_TRAINING},
    )


def _trained(folder: Path, seed: int, step: Step) -> tuple[DGD, AnnData, pd.DataFrame]:
    """A model trained on simulated samples, cases of the same population, and the truth about them."""
    cohort = simulate_cohort(seed=seed)
    write_h5ad(cohort.normals, folder / "normals.h5ad", compression="gzip")
    step("training")
    model = DGD.fit(cohort.normals, seed=seed)
    model.save(folder / "normals.dgd")
    return model, cohort.cases, cohort.truth


def _given(model: str | PathLike[str], seed: int) -> tuple[DGD, AnnData, pd.DataFrame]:
    """A model that is there, cases drawn from it, and the truth about them."""
    given = DGD.load(model)
    return given, *draw_patients(given, seed=seed)


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    with atomic_write(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")


def _draw(answers: Answers, folder: Path, sample: str) -> None:
    normal, cases = answers.normal, answers.cases
    queries = pd.DataFrame(normal.representations, index=pd.Index(normal.sample_names))
    shown = cases.obs["kind"] == "changed"
    _picture(folder / "volcano.png", lambda ax: volcano(answers.table, sample=sample, ax=ax))
    _picture(
        folder / "latent_map.png",
        lambda ax: latent_map(
            answers.model.representations,
            labels=answers.model.labels,
            queries=queries[shown.to_numpy()],
            query_labels=cases.obs.loc[shown, "tissue"].astype(str).tolist(),
            ax=ax,
        ),
    )


def _picture(path: Path, draw: Callable[[Axes], Axes]) -> None:
    # A Figure of its own: no window, no state of pyplot.
    figure = Figure(figsize=(7.5, 5.5), layout="constrained")
    draw(figure.subplots())
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=150)
