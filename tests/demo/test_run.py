# SPDX-License-Identifier: BSD-3-Clause
"""The demo: its figures are true, its files are there, and it fits a small machine."""

from dataclasses import replace
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from pydgd import DGD, read_counts
from pydgd.cli import main
from pydgd.data import simulate_cohort
from pydgd.demo import FILES, Accuracy, DemoResult, run, run_demo
from pydgd.errors import OutputError
from pydgd.files import make_folder


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoResult, list[tuple[int, int, str]]]:
    """A demo on a tenth of the genes, with the steps that it reported."""
    steps: list[tuple[int, int, str]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            run, "simulate_cohort", lambda seed: simulate_cohort(n_genes=300, n_per_tissue=20, seed=seed)
        )
        folder = tmp_path_factory.mktemp("demo") / "new" / "folder"
        result = run_demo(folder, seed=1, progress=lambda *step: steps.append(step))
    return result, steps


def test_every_file_of_the_demo_can_be_opened(small) -> None:
    """Counts, model, tables and pictures, and nothing else."""
    folder = small[0].directory
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert read_counts(folder / "normals.h5ad").shape == (160, 300)
    assert read_counts(folder / "cases.h5ad").shape == (32, 300)
    assert len(DGD.load(folder / "normals.dgd").representations) <= 160
    for name in ("volcano.png", "latent_map.png"):
        assert matplotlib.image.imread(folder / name).std() > 0.05


def test_recall_and_false_discoveries_are_those_of_the_written_table(small) -> None:
    """Counted again from de.csv and truth.csv, by sets of (sample, gene)."""
    result, folder = small[0], small[0].directory
    table, truth = pd.read_csv(folder / "de.csv"), pd.read_csv(folder / "truth.csv")
    changed = set(zip(truth["sample"], truth["gene"], strict=True))
    cases = {sample for sample, _ in changed}
    called = table[table["padj"] < 0.05]
    called = set(zip(called["sample"], called["gene"], strict=True))
    in_changed = {call for call in called if call[0] in cases}
    assert result.accuracy.recall == pytest.approx(len(called & changed) / len(changed))
    assert result.accuracy.false_discovery_proportion == pytest.approx(
        len(in_changed - changed) / len(in_changed)
    )
    assert result.accuracy.calls_per_unchanged_case == pytest.approx(len(called - in_changed) / 16)
    assert result.accuracy.recall > 0.5


def test_the_case_is_told_as_the_table_has_it(small) -> None:
    """Ten surest genes, nearest tissues, and planted changes where there were some."""
    result = small[0]
    table = pd.read_csv(result.directory / "de.csv")
    own = table[table["sample"] == result.case.sample]
    assert result.case.top_genes["gene"].tolist() == own.nsmallest(10, "log_pvalue")["gene"].tolist()
    assert sum(result.case.neighbours.values()) == 10
    assert next(iter(result.case.neighbours)) == result.case.tissue
    truth = pd.read_csv(result.directory / "truth.csv").set_index(["sample", "gene"])["log2_fold_change"]
    for gene, planted in result.case.top_genes[["gene", "planted"]].to_numpy():
        assert np.isnan(planted) or planted == pytest.approx(truth[result.case.sample, gene], rel=1e-5)


def test_the_summary_says_where_everything_lies(small) -> None:
    """Every file with its path; sample, tissue, genes, recall and false discovery proportion."""
    text = small[0].summary()
    for name in FILES:
        assert str(small[0].directory / name) in text
    for word in (small[0].case.sample, small[0].case.tissue, "recall", "false discovery proportion"):
        assert word in text
    assert max(map(len, text.splitlines()[:20])) <= 105


def test_steps_are_reported_in_order(small) -> None:
    """From 0 to all of them."""
    assert [step[0] for step in small[1]] == list(range(6))
    assert {step[1] for step in small[1]} == {5}


@pytest.mark.parametrize(("proportion", "words"), [(0.04, "About as many"), (0.2, "More false calls")])
def test_the_verdict_follows_the_figures(proportion, words) -> None:
    """The demo does not praise itself when a fifth of the calls is wrong."""
    accuracy = Accuracy(0.8, 0.85, 0.0, 0.1, 100, 90)
    assert words in str(replace(accuracy, false_discovery_proportion=proportion))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """Inside a file there is no folder."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make the folder"):
        make_folder(tmp_path / "file" / "folder")


@pytest.mark.slow
def test_the_whole_demo_takes_ninety_seconds_and_tells_its_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `make demo` runs it, into the folder below the current one: nine tenths of what counts can tell."""
    monkeypatch.chdir(tmp_path)
    assert main(["demo", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "recall" in out
    assert "pydgd de normal-tissues COUNTS -o de.csv" in out
    recall, attainable, wrong = (
        float(out.split(name)[1].split("%")[0])
        for name in ("recall", "attainable", "false discovery proportion")
    )
    seconds = float(out.split("All in ")[1].split(" s.")[0])
    assert recall >= 0.9 * attainable
    assert attainable > 85
    assert wrong <= 7.5
    assert seconds <= 90
    assert (tmp_path / "pydgd-demo" / "volcano.png").stat().st_size > 10_000
