# SPDX-License-Identifier: BSD-3-Clause
"""Several models' answers as one."""

import numpy as np
import pandas as pd
import pytest

from pydgd.errors import ConfigError
from pydgd.stats.differential_expression import differential_expression_table
from pydgd.stats.multiple_testing import log_adjusted_p
from pydgd.tl import combined

N_GENES = 60


def table(seed: int, *, measured: np.ndarray | None = None, **settings) -> pd.DataFrame:
    """Two samples by a model whose means are a little off."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(50, (2, N_GENES)).astype(float)
    counts[0, :5] *= 8
    mu = 50 * np.exp(np.random.default_rng(seed).normal(0, 0.05, (2, N_GENES)))
    return differential_expression_table(
        counts,
        mu,
        np.full(N_GENES, 20.0),
        sample_names=["T1", "T2"],
        genes=[f"g{i}" for i in range(N_GENES)],
        measured=measured,
        **settings,
    )


def test_models_that_agree_change_nothing() -> None:
    """Three times the same table."""
    one = table(1)
    together = combined([one, one, one])
    for name in one.columns:
        if one[name].dtype.kind == "f":
            np.testing.assert_allclose(together[name], one[name], rtol=1e-12, err_msg=name)
        else:
            assert (together[name].astype(str) == one[name].astype(str)).all(), name


def test_p_is_the_geometric_mean_and_padj_is_made_of_it() -> None:
    """Sample by sample."""
    tables = [table(seed) for seed in (1, 2, 3)]
    together = combined(tables)
    log_p = np.mean([t["log_pvalue"] for t in tables], axis=0)
    np.testing.assert_allclose(together["log_pvalue"], log_p)
    expected = np.concatenate([np.exp(log_adjusted_p(rows)) for rows in log_p.reshape(2, -1)])
    np.testing.assert_allclose(together["padj"], expected)
    changes = np.array([t["log2FoldChange"] for t in tables])
    errors = np.array([t["lfcSE"] for t in tables])
    np.testing.assert_allclose(together["lfcSE"], np.sqrt((errors**2).mean(axis=0) + changes.var(axis=0)))
    assert (together["direction"][:5] == 1).all()


def test_rows_are_matched_by_name() -> None:
    """Whatever their order."""
    one, other = table(1), table(2)
    shuffled = other.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(combined([one, shuffled]), combined([one, other]))


def test_genes_that_are_not_measured_stay_untested() -> None:
    """No number and no direction."""
    measured = np.arange(N_GENES) > 3
    together = combined([table(seed, measured=measured) for seed in (1, 2)])
    missing = together[together["gene"].isin(["g0", "g1", "g2", "g3"])]
    assert missing[["padj", "lfdr", "log2FoldChange"]].isna().all(axis=None)
    assert (missing["direction"] == 0).all()
    assert (missing["untested_reason"] == "not measured").all()


def test_what_does_not_belong_together_is_refused() -> None:
    """Nothing, other samples, parts, other tests."""
    whole = table(1)
    with pytest.raises(ConfigError, match="no table"):
        combined([])
    with pytest.raises(ConfigError, match="table 2 has 119 rows"):
        combined([whole, whole.iloc[1:]])
    with pytest.raises(ConfigError, match="table 2 was tested with"):
        combined([whole, table(1, adjust="by")])
    with pytest.raises(ConfigError, match="lacks the column 'padj'"):
        combined([whole, whole.drop(columns="padj")])
    with pytest.raises(ConfigError, match="padj_below"):
        combined([table(1, padj_below=0.99)])
