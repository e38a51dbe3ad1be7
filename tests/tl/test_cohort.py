# SPDX-License-Identifier: BSD-3-Clause
"""Calls over groups of samples."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from pydgd import tl
from pydgd.errors import ConfigError, GeneMismatchError, NamesError
from pydgd.tl.chance import log_chance_of_as_many

GENES = [f"G{i}" for i in range(10)]


def cohort(calls: dict[str, dict[str, int]], untested: tuple[tuple[str, str], ...] = ()) -> pd.DataFrame:
    """Samples with the direction of each called gene."""
    rows = [
        {
            "sample": sample,
            "gene": gene,
            "log2FoldChange": 2.0 * called.get(gene, 0),
            "padj": np.nan if (sample, gene) in untested else 0.01 if gene in called else 0.9,
        }
        for sample, called in calls.items()
        for gene in GENES
    ]
    return pd.DataFrame(rows)


FOUR = {"S1": {"G0": 1, "G1": -1}, "S2": {"G0": 1, "G1": 1}, "S3": {"G0": 1}, "S4": {}}


def test_chance_of_as_many_is_binomial_for_equal_rates() -> None:
    """And right by enumeration for others; tails beyond the smallest float stay."""
    tail = log_chance_of_as_many(np.full((31, 30), 0.1), np.arange(31))
    np.testing.assert_allclose(tail, binom.logsf(np.arange(-1, 30), 30, 0.1), rtol=1e-10, atol=1e-14)
    rates = np.array([[0.0, 0.3, 0.9]])
    for n in range(4):
        outcomes = [o for o in product((0, 1), repeat=3) if sum(o) >= n]
        expected = sum(np.prod(np.where(o, rates[0], 1 - rates[0])) for o in outcomes)
        assert np.exp(log_chance_of_as_many(rates, np.array([n]))[0]) == pytest.approx(expected, abs=1e-15)
    all_of_many = log_chance_of_as_many(np.full((1, 500), 0.01), np.array([500]))
    assert all_of_many[0] == pytest.approx(500 * np.log(0.01))


def test_chances_do_not_depend_on_the_other_rows() -> None:
    """Rows are worked off in blocks of like counts."""
    generator = np.random.default_rng(0)
    rates = generator.uniform(0, 0.3, (1200, 12)) * generator.integers(0, 2, (1200, 12))
    counts = generator.integers(0, 5, 1200)
    together = log_chance_of_as_many(rates, counts)
    alone = [log_chance_of_as_many(rates[[i]], counts[[i]])[0] for i in range(1200)]
    np.testing.assert_array_equal(together, alone)


def test_recurrence_counts_samples_and_asks_chance() -> None:
    """Each sample calls at its own rate."""
    table = tl.recurrence(cohort(FOUR)).set_index("gene")
    assert table.loc["G0", ["n_samples", "n_called", "n_up", "n_down"]].tolist() == [4, 3, 3, 0]
    assert table.loc["G1", ["n_called", "n_up", "n_down"]].tolist() == [2, 1, 1]
    assert table.index[:2].tolist() == ["G0", "G1"]
    assert table["group"].unique().tolist() == ["all samples"]
    assert table.loc["G0", "pvalue"] == pytest.approx(0.2 * 0.2 * 0.1)
    assert table.loc["G5", "pvalue"] == 1
    assert table.loc["G0", "median_log2FoldChange"] == 2


def test_a_gene_counts_where_it_was_tested() -> None:
    """Chance, too, is over these samples."""
    table = tl.recurrence(cohort(FOUR, untested=(("S3", "G1"), ("S4", "G1")))).set_index("gene")
    assert table.loc["G1", "n_samples"] == 2
    assert table.loc["G1", "share"] == 1
    assert table.loc["G1", "pvalue"] == pytest.approx(0.2 * 0.2)


def test_groups_are_looked_at_by_themselves() -> None:
    """A group's rows do not depend on the other group or on the order of rows."""
    groups = {"S1": "b", "S2": "b", "S3": "a"}
    table = tl.recurrence(cohort(FOUR).sample(frac=1, random_state=0), groups=groups)
    assert table["group"].unique().tolist() == ["a", "b"]
    alone = tl.recurrence(cohort({name: FOUR[name] for name in ("S1", "S2")}))
    together = table[table["group"] == "b"].set_index("gene").sort_index()
    pd.testing.assert_frame_equal(
        together.drop(columns="group"), alone.set_index("gene").sort_index().drop(columns="group")
    )


def test_random_calls_give_uniform_p_values_at_most() -> None:
    """P(p <= a) <= a, as the distribution is discrete."""
    rng = np.random.default_rng(0)
    n_samples, n_genes = 20, 4000
    called = rng.random((n_samples, n_genes)) < np.linspace(0.01, 0.3, n_samples)[:, None]
    table = pd.DataFrame(
        {
            "sample": np.repeat([f"S{i}" for i in range(n_samples)], n_genes),
            "gene": np.tile([f"G{i}" for i in range(n_genes)], n_samples),
            "log2FoldChange": 1.0,
            "padj": np.where(called, 0.01, 0.9).ravel(),
        }
    )
    p = tl.recurrence(table)["pvalue"]
    for level in (0.01, 0.05, 0.2):
        assert (p <= level).mean() <= level + 3 * np.sqrt(level / n_genes)


def test_consensus_wants_one_direction() -> None:
    """G1 is called as often up as down."""
    table = tl.consensus(cohort(FOUR))
    assert table["gene"].tolist() == ["G0"]
    assert table.loc[0, ["direction", "n_samples", "n_agree", "n_against"]].tolist() == [1, 4, 3, 0]
    assert table.loc[0, "share"] == 0.75
    assert tl.consensus(cohort(FOUR), min_share=0.8).empty
    assert tl.consensus(cohort(FOUR), min_share=0.25, min_samples=1)["gene"].tolist() == ["G0", "G1"]


def test_summary_of_a_group() -> None:
    """Per sample and per gene."""
    table = tl.group_summary(cohort(FOUR), groups={"S1": "x", "S2": "x", "S4": "y"}).set_index("group")
    assert table.loc["x"].to_dict() == {
        "n_samples": 2,
        "n_called_median": 2,
        "n_called_min": 2,
        "n_called_max": 2,
        "n_up_median": 1.5,
        "n_down_median": 0.5,
        "n_genes_tested": 10,
        "n_genes_called": 2,
        "n_genes_recurrent": 2,
        "n_genes_half": 2,
    }
    assert table.loc["y", ["n_samples", "n_genes_called"]].tolist() == [1, 0]


def test_matrix_of_calls() -> None:
    """Most often called genes first; NaN where a gene was not tested."""
    matrix = tl.call_matrix(cohort(FOUR, untested=(("S4", "G0"),)), top=2)
    assert matrix.columns.tolist() == ["G0", "G1"]
    assert matrix.index.tolist() == list(FOUR)
    np.testing.assert_array_equal(matrix, [[1, -1], [1, 1], [1, 0], [np.nan, 0]])
    chosen = tl.call_matrix(cohort(FOUR), genes=["G9", "G1", "X"])
    assert chosen.columns.tolist() == ["G9", "G1", "X"]
    assert chosen["X"].isna().all()
    with pytest.raises(GeneMismatchError, match=r"none of the 1 gene \(first: \['X'\]\) is in the table"):
        tl.call_matrix(cohort(FOUR), genes=["X"])


@pytest.mark.parametrize("analysis", [tl.recurrence, tl.consensus, tl.group_summary])
def test_a_cohort_without_a_tested_gene_is_refused(analysis) -> None:
    """In words, as there is nothing to count."""
    with pytest.raises(ConfigError, match="no gene was tested: padj is missing in all rows"):
        analysis(cohort(FOUR).assign(padj=np.nan))


def test_real_tables_go_through(study) -> None:
    """Sizes agree with the table's own calls."""
    kinds = study.simulation.cases.obs["kind"]
    table = tl.recurrence(study.table, groups=kinds)
    assert set(table["group"]) == {"changed", "unchanged"}
    assert table["n_called"].sum() == (study.table["padj"] < 0.05).sum()
    assert tl.call_matrix(study.table).abs().sum().sum() == table["n_called"].sum()
    summary = tl.group_summary(study.table, groups=kinds).set_index("group")
    assert summary.loc["changed", "n_called_median"] >= summary.loc["unchanged", "n_called_median"]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda t: tl.consensus(t, min_share=0.0), ConfigError, "min_share is 0"),
        (lambda t: tl.consensus(t, min_samples=0), ConfigError, "min_samples 0"),
        (lambda t: tl.call_matrix(t, top=0), ConfigError, "top is 0"),
        (lambda t: tl.recurrence(t, padj=0.0), ConfigError, "padj is 0"),
        (lambda t: tl.recurrence(t, groups={"x": "y"}), NamesError, "none of the 4 samples"),
        (lambda t: tl.group_summary(t.drop(columns="padj")), ConfigError, "lacks the columns padj"),
    ],
)
def test_what_makes_no_sense_is_refused(call, error: type[Exception], words: str) -> None:
    """With what was given."""
    with pytest.raises(error, match=words):
        call(cohort(FOUR))
