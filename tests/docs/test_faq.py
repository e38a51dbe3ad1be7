# SPDX-License-Identifier: BSD-3-Clause
"""What docs/faq.md says is so: each test is about the answer under one heading."""

import re
from pathlib import Path

import numpy as np
import pytest
from anndata import AnnData

import pydgd
from pydgd.cli.app import app
from pydgd.data import simulate_cohort
from pydgd.errors import CountsError, GeneMismatchError
from pydgd.inference.chunks import MOST_SAMPLES, chunk_size_for
from pydgd.stats import UNTESTED_REASONS

FAQ = (Path(__file__).parents[2] / "docs" / "faq.md").read_text()


@pytest.fixture(scope="module")
def cohort():
    return simulate_cohort(n_tissues=3, n_per_tissue=30, n_genes=300, n_changed=2, n_unchanged=2, seed=0)


@pytest.fixture(scope="module")
def model(cohort) -> pydgd.DGD:
    return pydgd.DGD.fit(cohort.normals, seed=0, epochs=5)


def test_tpm_are_refused(cohort, model) -> None:
    reads = cohort.cases.to_df()
    with pytest.raises(CountsError, match="fractional counts"):
        model.closest_normal(reads.div(reads.sum(axis=1), axis=0) * 1e6)


def test_the_message_on_other_names_says_what_helps(cohort, model) -> None:
    versioned: AnnData = cohort.cases.copy()
    versioned.var_names = [f"{gene}.18" for gene in versioned.var_names]
    with pytest.raises(GeneMismatchError, match=r"strip_version"):
        model.closest_normal(versioned)


def test_lacking_genes_are_unknown_and_half_are_needed(cohort, model) -> None:
    some = cohort.cases[:, :200].copy()
    table = pydgd.differential_expression(some, model.closest_normal(some))
    lacking = table[~table["gene"].isin(some.var_names)]
    assert lacking["pvalue"].isna().all()
    assert set(lacking["untested_reason"]) == {"not measured"}
    with pytest.raises(GeneMismatchError, match="50% are needed"):
        model.closest_normal(cohort.cases[:, :100].copy())
    assert model.closest_normal(cohort.cases[:, :100].copy(), min_shared=0.1).means.shape[0] == 4


def test_either_way_round(cohort, model, tmp_path: Path) -> None:
    cohort.cases.to_df().T.to_csv(tmp_path / "genes_in_rows.csv")
    assert pydgd.read_counts(tmp_path / "genes_in_rows.csv").shape == cohort.cases.shape


def test_one_sample_is_answered_as_among_others(cohort, model) -> None:
    alone = model.closest_normal(cohort.cases[[2]].copy())
    np.testing.assert_array_equal(alone.means[0], model.closest_normal(cohort.cases).means[2])


def test_few_samples_train_without_calibration_and_say_so(cohort, caplog: pytest.LogCaptureFixture) -> None:
    few = pydgd.DGD.fit(cohort.normals[:12].copy(), seed=0, epochs=2)
    assert "5 are needed to calibrate" in caplog.text
    table = pydgd.differential_expression(cohort.cases, few.closest_normal(cohort.cases))
    np.testing.assert_array_equal(table["pvalue"], table["pvalue_nb"])


def test_chunks_are_of_8_to_64_samples() -> None:
    assert "chunks of 8 to 64 samples" in FAQ
    assert (chunk_size_for(20_000, memory=1), chunk_size_for(20_000, memory=2**40)) == (8, MOST_SAMPLES)
    assert MOST_SAMPLES == 64


def test_every_reason_for_a_missing_p_value_is_explained(cohort, model) -> None:
    assert [reason for reason in UNTESTED_REASONS if f"`{reason}`" not in FAQ] == []
    listed = list(model.genes[:5])
    table = pydgd.differential_expression(cohort.cases, model.closest_normal(cohort.cases), gene_list=listed)
    others = table[~table["gene"].isin(listed)]
    assert set(others["untested_reason"]) == {"not in the gene list"}
    assert others["pvalue"].notna().all()
    assert others["padj"].isna().all()


def test_the_smallest_p_value_is_the_one_named(cohort, model) -> None:
    far = cohort.cases.copy()
    far.X = far.X.astype(np.int64)
    far.X[:, 0] = 10**7
    table = pydgd.differential_expression(far, model.closest_normal(far), calibrated=False)
    assert f"{table['pvalue'].min():.1e}" == "2.3e-308"
    assert table["log_pvalue"].min() < -709
    assert "2.3e-308" in FAQ


def test_two_trainings_give_the_same_answer(cohort, model) -> None:
    again = pydgd.DGD.fit(cohort.normals, seed=0, epochs=5)
    np.testing.assert_array_equal(
        again.closest_normal(cohort.cases).means, model.closest_normal(cohort.cases).means
    )


def test_options_that_are_named_exist() -> None:
    import typer

    commands = typer.main.get_command(app).commands.values()
    known = {name for command in commands for option in command.params for name in option.opts}
    named = set(re.findall(r"`(--[a-z-]+)", FAQ))
    assert named <= known
