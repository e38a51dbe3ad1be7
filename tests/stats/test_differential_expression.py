# SPDX-License-Identifier: BSD-3-Clause
"""The table of differential expression."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control

from pydgd.stats import (
    Settings,
    compare,
    differential_expression_table,
    eligible_down,
    iterate_differential_expression,
    log_p_value,
    mid_p_residuals,
)
from pydgd.stats.calibrated import Expected, NullModel

COLUMNS = [
    *("sample", "gene", "observed", "baseMean", "log2FoldChange", "lfcSE", "stat", "pvalue", "padj"),
    *("log_pvalue", "lfdr", "pvalue_nb", "direction", "r", "eligible_down", "eligible_up", "untested_reason"),
]

SAMPLES, GENES = ["T2", "T1", "T3"], [f"g{i}" for i in range(40, 0, -1)]
_RNG = np.random.default_rng(0)
MU = _RNG.lognormal(3, 2, (3, 40))
R = _RNG.lognormal(1, 1, 40)
COUNTS = _RNG.poisson(_RNG.gamma(R, MU / R))
NAMES = {"sample_names": SAMPLES, "genes": GENES}


def _table(**options) -> pd.DataFrame:
    return differential_expression_table(COUNTS, MU, R, **NAMES, **options)


def test_one_sample_of_one_gene_is_a_table() -> None:
    """The smallest table has one row with every column."""
    table = differential_expression_table([[0]], [[0.0]], sample_names=["T"], genes=["A"])
    assert list(table.columns) == COLUMNS
    assert len(table) == 1
    assert table["pvalue"].item() == 1
    assert np.isfinite(table[["log2FoldChange", "lfcSE", "stat"]].to_numpy()).all()


def test_rows_follow_the_order_of_samples_and_genes() -> None:
    """Neither names nor p-values sort the table; names are categories in the order given."""
    table = _table()
    assert table["sample"].tolist() == [sample for sample in SAMPLES for _ in GENES]
    assert table["gene"].tolist() == GENES * 3
    assert table["gene"].cat.categories.tolist() == GENES
    assert table["direction"].dtype == np.int8


def test_columns_are_what_the_functions_say() -> None:
    """Each statistic equals the function that it is named after, each sample adjusted by itself."""
    table = _table()
    log_p, direction = log_p_value(COUNTS, MU, R)
    expected = {
        "observed": COUNTS,
        "baseMean": MU,
        "log2FoldChange": np.log2((COUNTS + 0.5) / (MU + 0.5)),
        "lfcSE": np.sqrt(1 / MU + 1 / R) / np.log(2),
        "stat": mid_p_residuals(COUNTS, MU, R),
        "pvalue": np.exp(log_p),
        "padj": false_discovery_control(np.exp(log_p), axis=1),
        "log_pvalue": log_p,
        "direction": direction,
        "r": np.broadcast_to(R, MU.shape),
        "eligible_down": eligible_down(MU, R, level=0.05),
        "eligible_up": np.ones(MU.shape),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(
            table[name].to_numpy(dtype=float), values.ravel(), rtol=1e-12, err_msg=name
        )
    assert table["untested_reason"].isna().all()


def test_fold_change_is_positive_where_the_sample_has_more() -> None:
    """Sign, direction and statistic point the same way, and 0 reads have a finite fold change."""
    table = differential_expression_table(
        [[0, 900]], [[100.0, 100.0]], 4.0, sample_names=["T"], genes=["A", "B"]
    )
    assert np.sign(table["log2FoldChange"]).tolist() == [-1, 1] == table["direction"].tolist()
    assert np.sign(table["stat"]).tolist() == [-1, 1]
    assert table["log2FoldChange"].iloc[0] == pytest.approx(np.log2(0.5 / 100.5))


def test_uncertainty_of_the_mean_widens_the_standard_error_alone() -> None:
    """Variance of ln mu adds to that of the logarithm of a count; the test is left to r."""
    plain, wide = _table(), _table(log_mean_variance=np.full(MU.shape, 0.3))
    squares = (wide["lfcSE"] ** 2 - plain["lfcSE"] ** 2) * np.log(2) ** 2
    np.testing.assert_allclose(squares, 0.3, rtol=1e-9)
    assert wide["pvalue"].equals(plain["pvalue"])


def test_unmeasured_genes_have_no_statistics_and_say_so() -> None:
    """They are NaN, not zero, and the others are adjusted as if they were not there."""
    measured = np.arange(40) % 4 != 0
    counts = np.where(measured, COUNTS, -1)
    table = differential_expression_table(counts, MU, R, **NAMES, measured=measured)
    left_out = table[~np.tile(measured, 3)]
    assert (left_out["untested_reason"] == "not measured").all()
    statistics = ["observed", "log2FoldChange", "lfcSE", "stat", "pvalue", "padj", "log_pvalue"]
    assert left_out[statistics].isna().all(axis=None)
    assert not left_out[["direction", "eligible_down", "eligible_up"]].any(axis=None)
    genes = [gene for gene, there in zip(GENES, measured, strict=True) if there]
    alone = differential_expression_table(
        counts[:, measured], MU[:, measured], R[measured], sample_names=SAMPLES, genes=genes
    )
    assert table["padj"].dropna().tolist() == alone["padj"].tolist()


def test_a_gene_list_is_what_is_adjusted_for() -> None:
    """Other genes keep their p-value, and get a reason in place of an adjusted one."""
    wanted = [GENES[7], GENES[3], GENES[11]]
    table = _table(gene_list=wanted)
    listed = table["gene"].isin(wanted)
    assert (table.loc[~listed, "untested_reason"] == "not in the gene list").all()
    assert table["padj"].notna().equals(listed)
    assert table["pvalue"].equals(_table()["pvalue"])
    first = table[listed & (table["sample"] == "T2")]
    np.testing.assert_allclose(first["padj"], false_discovery_control(first["pvalue"]))


def test_only_eligible_genes_are_adjusted_for_on_request() -> None:
    """Under "down", genes too low to be called are left out by mean and r alone."""
    table = _table(rule="down", eligible_only=True)
    assert table["padj"].notna().equals(table["eligible_down"])
    assert (table.loc[~table["eligible_down"], "untested_reason"] == "not eligible").all()
    assert 0 < table["eligible_down"].mean() < 1


@pytest.mark.parametrize("adjust", ["bh", "by"])
def test_threshold_keeps_the_rows_below_it(adjust: str) -> None:
    """The short table is the long one's rows with a smaller adjusted p-value."""
    table = _table(adjust=adjust)
    threshold = float(table["padj"].quantile(0.2))
    short = _table(adjust=adjust, padj_below=threshold)
    expected = table[table["padj"] < threshold].reset_index(drop=True)
    pd.testing.assert_frame_equal(short, expected)
    assert short.attrs["padj_below"] == threshold


def test_frames_of_samples_make_up_the_table() -> None:
    """Streamed sample by sample, put together, the table is the same."""
    frames = list(iterate_differential_expression(compare(COUNTS, MU, R, **NAMES), Settings()))
    assert [frame["sample"].unique().tolist() for frame in frames] == [["T2"], ["T1"], ["T3"]]
    pd.testing.assert_frame_equal(pd.concat(frames, ignore_index=True), _table())


def test_settings_are_recorded() -> None:
    """attrs of the frame say how the table was made."""
    table = _table(rule="equal-tail", adjust="by", level=0.01, pseudocount=1.0)
    assert table.attrs == {
        "rule": "equal-tail",
        "adjust": "by",
        "level": 0.01,
        "eligible_only": False,
        "pseudocount": 1.0,
        "padj_below": None,
    }


def test_far_tails_are_kept_apart_in_log_space() -> None:
    """Two p-values below 1e-308 are floored alike, their logarithms and statistics are not."""
    table = differential_expression_table(
        [[10**5, 10**6]], [[1.0, 1.0]], sample_names=["T"], genes=["A", "B"]
    )
    assert (table[["pvalue", "padj"]] == 2.3e-308).all(axis=None)
    assert table["log_pvalue"].iloc[1] < table["log_pvalue"].iloc[0] < -1e5
    assert table["stat"].iloc[1] > table["stat"].iloc[0] > 400


def test_dispersion_may_belong_to_samples() -> None:
    """r of shape (N, G) and (G,) give the same where they are equal."""
    full = differential_expression_table(COUNTS, MU, np.tile(R, (3, 1)), **NAMES)
    pd.testing.assert_frame_equal(full, _table())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "x"}, "rule is 'x'"),
        ({"adjust": "x"}, "adjust is 'x'"),
        ({"level": 0.0}, "level is 0.0"),
        ({"pseudocount": 0.0}, "pseudocount is 0.0"),
        ({"level": 1.1}, "level is 1.1"),
        ({"pseudocount": np.inf}, "pseudocount is inf"),
        ({"padj_below": 0.0}, "padj_below is 0.0"),
        ({"padj_below": 1.1}, "padj_below is 1.1"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict, message: str) -> None:
    """Before the first sample is computed."""
    with pytest.raises(ValueError, match=message):
        _table(**options)


def test_a_level_of_one_is_allowed() -> None:
    """Everything is called."""
    assert len(_table(level=1.0, padj_below=1.0)) > 0


def test_calibrated_directions_are_the_sides_of_the_smaller_tail() -> None:
    """Up and down, also where a null of healthy samples gives the tails."""
    rng = np.random.default_rng(0)
    mu = np.full(2000, 100.0)
    healthy = [
        (rng.poisson(mu).astype(float), Expected(mu, np.full(2000, np.inf), np.zeros(2000)))
        for _ in range(20)
    ]
    counts = rng.poisson(mu)
    counts[:2] = 300, 10
    names = {"sample_names": ["T"], "genes": [f"g{i}" for i in range(2000)]}
    table = differential_expression_table(counts[None], mu[None], None, null=NullModel.of(healthy), **names)
    assert table["direction"].iloc[:2].tolist() == [1, -1]
    assert set(table["direction"]) == {1, -1}
