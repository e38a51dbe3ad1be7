# SPDX-License-Identifier: BSD-3-Clause
"""Rank-based enrichment through gseapy."""

import sys

import numpy as np
import pandas as pd
import pytest

from pydgd import tl
from pydgd.errors import ConfigError, GeneMismatchError, NamesError

GENES = [f"G{i:03d}" for i in range(300)]
SETS = {"up": GENES[:20], "down": GENES[20:40], "none": GENES[100:120], "few": GENES[:3], "all": GENES}


@pytest.fixture(scope="module", autouse=True)
def _gseapy() -> None:
    pytest.importorskip("gseapy")


def table(*samples: str) -> pd.DataFrame:
    """Twenty genes a little up, twenty a little down: no single one stands out."""
    parts = []
    for sample in samples:
        stat = np.random.default_rng(len(sample)).normal(size=300)
        stat[:20] += 1
        stat[20:40] -= 1
        parts.append(pd.DataFrame({"sample": sample, "gene": GENES, "stat": stat, "padj": 0.9}))
    return pd.concat(parts, ignore_index=True)


def test_small_changes_in_one_direction_are_found() -> None:
    """Above 0 is up; p-values are never 0; sets that are too small or too large are left out."""
    found = tl.gsea(table("S1"), SETS, permutations=200, max_genes=100).set_index("gene_set")
    assert sorted(found.index) == ["down", "none", "up"]
    assert found.loc["up", "nes"] > 1.5
    assert found.loc["down", "nes"] < -1.5
    assert found.loc[["up", "down"], "pvalue"].tolist() == [1 / 201] * 2
    assert found.loc["none", "pvalue"] > 0.05
    assert found["n_genes"].tolist() == [20, 20, 20]
    assert set(found.loc["up", "genes"].split(";")) <= set(GENES[:20])


def test_same_seed_same_numbers_in_any_company_and_order() -> None:
    """Each sample by itself."""
    options = {"permutations": 50, "max_genes": 100, "seed": 3}
    cohort = tl.gsea(table("long name", "S1").sample(frac=1, random_state=1), SETS, **options)
    alone = tl.gsea(table("S1"), SETS, **options)
    pd.testing.assert_frame_equal(cohort[cohort["sample"] == "S1"].reset_index(drop=True), alone)


def test_threads_change_nothing() -> None:
    """Permutations have seeds of their own."""
    one, two = (tl.gsea(table("S1"), SETS, permutations=50, max_genes=100, threads=n) for n in (1, 2))
    pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_untested_genes_are_not_ranked() -> None:
    """A set counts its tested genes."""
    some = table("S1")
    some.loc[some["gene"].isin(GENES[:4]), "padj"] = np.nan
    found = tl.gsea(some, SETS, permutations=10, max_genes=100).set_index("gene_set")
    assert found.loc["up", "n_genes"] == 16


def test_progress_counts_samples() -> None:
    """Done, and in all."""
    seen: list[tuple[int, int]] = []
    tl.gsea(table("a", "bb"), SETS, permutations=10, progress=lambda *at: seen.append(at))
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"permutations": 1}, ConfigError, "permutations is 1"),
        ({"weight": -1.0}, ConfigError, "weight is -1"),
        ({"threads": 0}, ConfigError, "threads is 0"),
        ({"seed": -1}, ConfigError, "seed is -1"),
        ({"rank_by": "gene"}, ConfigError, "'gene' holds no numbers"),
        ({"min_genes": 0}, ConfigError, "min_genes is 0"),
        ({"rank_by": "lfc"}, ConfigError, "lacks the columns lfc"),
        ({"gene_sets": {"S": ["X"]}}, GeneMismatchError, "names of the same kind"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict, error: type[Exception], words: str) -> None:
    """With what was given."""
    with pytest.raises(error, match=words):
        tl.gsea(table("S1"), **{"gene_sets": SETS, **options})


def test_a_ranking_that_says_nothing_is_none(caplog: pytest.LogCaptureFixture) -> None:
    """Equal values leave a sample out, with a warning; infinite ones are refused."""
    flat = pd.concat([table("S1"), table("S2").assign(stat=1.0)])
    assert tl.gsea(flat, SETS, permutations=10)["sample"].unique().tolist() == ["S1"]
    assert "sample 'S2' has 300 tested genes of 1 different value" in caplog.text
    with pytest.raises(GeneMismatchError, match="the genes have no ranking"):
        tl.gsea(table("S1").assign(stat=0.0), SETS, permutations=10)
    with pytest.raises(ConfigError, match="'stat' holds infinite values"):
        tl.gsea(table("S1").replace({"stat": {table("S1")["stat"][0]: np.inf}}), SETS)
    with pytest.raises(GeneMismatchError, match="no sample can be tested"):
        tl.gsea(table("S1").head(0), SETS)


def test_a_set_of_all_tested_genes_is_left_out() -> None:
    """It has no end of the ranking to be at."""
    found = tl.gsea(table("S1"), {**SETS, "every": GENES}, permutations=10)
    assert "every" not in set(found["gene_set"])
    with pytest.raises(GeneMismatchError, match="no sample can be tested"):
        tl.gsea(table("S1"), {"every": GENES}, permutations=10)


def test_a_gene_twice_is_refused() -> None:
    """By name."""
    with pytest.raises(NamesError, match="'S1' has the gene 'G000' twice"):
        tl.gsea(pd.concat([table("S1"), table("S1").head(1)]), SETS)


def test_without_gseapy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """And another way."""
    monkeypatch.setitem(sys.modules, "gseapy", None)
    with pytest.raises(ConfigError, match=r"pydgd\[gsea\]"):
        tl.gsea(table("S1"), SETS)
