# SPDX-License-Identifier: BSD-3-Clause
"""Over-representation of gene sets among called genes."""

import logging

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, fisher_exact

from pydgd import tl
from pydgd.errors import ConfigError, GeneMismatchError, NamesError

GENES = [f"G{i}" for i in range(40)]
SETS = {"called": GENES[:6], "mixed": GENES[4:12], "rest": GENES[20:], "unknown": ["X", "Y"]}


def table(sample: str = "S1", n_called: int = 8, untested: int = 0) -> pd.DataFrame:
    """The first genes are called, every second of them down; the last ones were not tested."""
    padj = np.where(np.arange(40) < n_called, 0.01, 0.5)
    padj[40 - untested :] = np.nan
    change = np.where(np.arange(40) % 2, -2.0, 2.0)
    return pd.DataFrame({"sample": sample, "gene": GENES, "log2FoldChange": change, "padj": padj})


def test_p_values_are_fishers_exact_ones() -> None:
    """One-sided; adjusted over the sets with a tested gene."""
    found = tl.over_representation(table(), SETS).set_index("gene_set")
    assert sorted(found.index) == ["called", "mixed", "rest"]
    for name, row in found.iterrows():
        inside, n_set = row["n_overlap"], row["n_genes"]
        cells = [[inside, n_set - inside], [8 - inside, 40 - n_set - 8 + inside]]
        expected = fisher_exact(cells, alternative="greater").pvalue
        assert row["pvalue"] == pytest.approx(expected, rel=1e-12), name
    np.testing.assert_allclose(found["padj"], false_discovery_control(found["pvalue"]), rtol=1e-12)
    assert found.loc["called", "genes"] == "G0;G1;G2;G3;G4;G5"


def test_e_score_is_that_of_bulkdgd() -> None:
    """Overlap times all genes over called genes times those of the set."""
    found = tl.over_representation(table(), SETS).set_index("gene_set")
    assert found.loc["mixed", "e_score"] == pytest.approx(4 * 40 / (8 * 8))
    assert found.loc["mixed", "expected"] == pytest.approx(8 * 8 / 40)
    none = tl.over_representation(table(n_called=0), SETS)
    assert none["e_score"].isna().all()
    assert (none["pvalue"] == 1).all()


def test_background_is_what_was_tested() -> None:
    """A set loses the genes that could not be called."""
    found = tl.over_representation(table(untested=15), SETS).set_index("gene_set")
    assert found["n_background"].unique().tolist() == [25]
    assert found.loc["rest", "n_genes"] == 5


@pytest.mark.parametrize(("direction", "n_called"), [("any", 8), ("up", 4), ("down", 4)])
def test_a_direction_counts_its_calls(direction: str, n_called: int) -> None:
    """Even genes are up, odd ones down."""
    found = tl.over_representation(table(), SETS, direction=direction)
    assert found["n_called"].unique().tolist() == [n_called]
    assert found["direction"].unique().tolist() == [direction]


def test_samples_are_tested_by_themselves() -> None:
    """A sample's rows do not depend on its company or on the order of rows."""
    cohort = pd.concat([table("S2", n_called=3), table("S1")], ignore_index=True)
    found = tl.over_representation(cohort.sample(frac=1, random_state=0), SETS)
    alone = tl.over_representation(table("S1"), SETS)
    numbers = ["n_overlap", "pvalue", "padj", "e_score"]
    together = found[found["sample"] == "S1"].set_index("gene_set")
    pd.testing.assert_frame_equal(together[numbers], alone.set_index("gene_set")[numbers])


def test_sizes_leave_out_sets_before_adjustment() -> None:
    """In terms of tested genes."""
    found = tl.over_representation(table(), SETS, min_genes=7, max_genes=10)
    assert found["gene_set"].tolist() == ["mixed"]
    assert found["padj"].tolist() == found["pvalue"].tolist()
    assert tl.over_representation(table(), SETS, min_genes=30).empty


def test_p_values_beyond_the_smallest_float_keep_their_order() -> None:
    """ln p, as everywhere."""
    names = [f"G{i}" for i in range(20_000)]
    sets = {"all": names[:1000], "less": names[:900]}
    found = tl.over_representation_of(names[:1000], names, sets).set_index("gene_set")
    assert found.loc["all", "log_pvalue"] < found.loc["less", "log_pvalue"] < -1500
    assert (found["pvalue"] > 0).all()


def test_genes_given_twice_count_once() -> None:
    """Also those of a set, and of the background."""
    once = tl.over_representation_of(["A"], "ABC", {"S": ["A"]})
    twice = tl.over_representation_of(["A", "A", "Z"], "ABCA", {"S": ["A", "A"]})
    pd.testing.assert_frame_equal(once, twice)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"direction": "both"}, ConfigError, "choose one of any, up, down"),
        ({"min_genes": 0}, ConfigError, "min_genes is 0"),
        ({"min_genes": 5, "max_genes": 4}, ConfigError, "max_genes 4"),
        ({"adjust": "holm"}, ConfigError, "choose one of bh, by"),
        ({"gene_sets": {}}, NamesError, "no gene set"),
        ({"gene_sets": {"S": "TP53"}}, NamesError, "is the text 'TP53'"),
        ({"gene_sets": {"S": ["ENSG1"]}}, GeneMismatchError, "'ENSG1'.*names of the same kind"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict, error: type[Exception], words: str) -> None:
    """With what was given."""
    with pytest.raises(error, match=words):
        tl.over_representation(table(), **{"gene_sets": SETS, **options})


def test_sets_without_a_known_gene_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Once, with the first."""
    with caplog.at_level(logging.WARNING, logger="pydgd"):
        tl.over_representation(table(), SETS)
    assert caplog.messages == ["1 of 4 gene sets (first: unknown) have no gene among the results"]
