# SPDX-License-Identifier: BSD-3-Clause
"""The whole job on simulated samples: train, find closest normals, test, and compare with the truth."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pydgd.data import simulate_cohort
from pydgd.data.h5ad_writer import write_h5ad
from pydgd.dgd import DGD
from pydgd.differential import differential_expression
from pydgd.errors import OutputError
from pydgd.files import atomic_write, check_inside
from pydgd.inference import ClosestNormal
from pydgd.patients import draw_patients
from pydgd.plotting import latent_map, volcano
from pydgd.stats import log_adjusted_p, log_p_value

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
_OF_TRAINING = ("normals.h5ad", "normals.dgd")
_STEPS = ("simulating", "training", "finding closest normals", "testing genes", "drawing")

Report = Callable[[int, int, str], None]
Step = Callable[[str], None]


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
    sample = str(cases.obs_names[cases.obs["kind"] == "changed"][0])
    step("drawing")
    _draw(trained, normal, cases, table, folder, sample)
    report(len(steps), len(steps), "done")
    return DemoResult(
        directory=folder,
        case=_case(trained, normal, table, truth, sample, str(cases.obs.loc[sample, "tissue"])),
        accuracy=_accuracy(table, cases, truth),
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


def make_folder(directory: str | PathLike[str]) -> Path:
    """The folder to write into, made if it is missing.

    Args:
        directory: Its path.

    Returns:
        The same as a path.

    Raises:
        OutputError: If it is a file, cannot be made, or cannot be written to.
    """
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "there is a file of that name" if folder.exists() else error.strerror
        raise OutputError(f"cannot make the folder {folder}: {reason}; give another one with -o") from error
    check_inside(folder)
    return folder


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    with atomic_write(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")


def _accuracy(table: pd.DataFrame, cases: AnnData, truth: pd.DataFrame) -> Accuracy:
    called = table.loc[table["padj"] < PADJ, ["sample", "gene"]].astype(str)
    changed = cases.obs["kind"] == "changed"
    n_called = int(called["sample"].isin(cases.obs_names[changed]).sum())
    n_right = len(called.merge(truth, on=["sample", "gene"]))
    return Accuracy(
        recall=n_right / len(truth),
        attainable=len(_calls_of_the_omniscient(cases).merge(truth)) / len(truth),
        false_discovery_proportion=1 - n_right / max(n_called, 1),
        calls_per_unchanged_case=(len(called) - n_called) / int((~changed).sum()),
        n_changed_genes=len(truth),
        n_called=n_called,
    )


def _calls_of_the_omniscient(cases: AnnData) -> pd.DataFrame:
    """Samples and genes that the negative binomial test calls when it is told mean and dispersion."""
    dispersion = cases.var["dispersion"].to_numpy()
    log_p, _ = log_p_value(cases.X, cases.layers["expected"], 1 / dispersion)
    sample, gene = np.nonzero(log_adjusted_p(log_p) < np.log(PADJ))
    return pd.DataFrame({"sample": cases.obs_names[sample], "gene": cases.var_names[gene]})


def _case(
    model: DGD, normal: ClosestNormal, table: pd.DataFrame, truth: pd.DataFrame, sample: str, tissue: str
) -> Case:
    own = table[table["sample"] == sample]
    return Case(
        sample=sample,
        tissue=tissue,
        neighbours=_neighbours(model, normal, sample),
        top_genes=_top_genes(own, truth[truth["sample"] == sample]),
        n_differing=int((own["padj"] < PADJ).sum()),
    )


def _neighbours(model: DGD, normal: ClosestNormal, sample: str) -> dict[str, int]:
    """Tissues of the training samples nearest in latent space, the most frequent first."""
    z = normal.representations[normal.sample_names.index(sample)]
    distance = np.linalg.norm(model.representations.to_numpy() - z, axis=1)
    assert model.labels is not None  # cases have a tissue
    nearest = model.labels.iloc[np.argsort(distance)[:N_NEIGHBOURS]]
    return {str(tissue): int(count) for tissue, count in nearest.value_counts().items()}


def _top_genes(table: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    top = table.nsmallest(N_TOP, "log_pvalue")
    columns = ["gene", "observed", "baseMean", "log2FoldChange", "padj"]
    planted = truth.set_index("gene")["log2_fold_change"].reindex(top["gene"].astype(str))
    return top[columns].assign(planted=planted.to_numpy()).reset_index(drop=True)


def _gene_lines(genes: pd.DataFrame) -> list[str]:
    head = f"{'gene':<18}{'reads':>9}{'expected':>10}{'log2 change':>13}{'padj':>10}   planted"
    planted = genes["planted"].map("{:+.2f}".format).where(genes["planted"].notna(), "none")
    numbers = genes[["observed", "baseMean", "log2FoldChange", "padj"]].to_numpy(dtype=float).tolist()
    return [head] + [
        f"{gene:<18}{reads:>9,.0f}{expected:>10,.0f}{change:>+13.2f}{padj:>10.1e}   {truth}"
        for gene, (reads, expected, change, padj), truth in zip(genes["gene"], numbers, planted, strict=True)
    ]


def _draw(
    model: DGD, normal: ClosestNormal, cases: AnnData, table: pd.DataFrame, folder: Path, sample: str
) -> None:
    queries = pd.DataFrame(normal.representations, index=pd.Index(normal.sample_names))
    shown = cases.obs["kind"] == "changed"
    _picture(folder / "volcano.png", lambda ax: volcano(table, sample=sample, ax=ax))
    _picture(
        folder / "latent_map.png",
        lambda ax: latent_map(
            model.representations,
            labels=model.labels,
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
