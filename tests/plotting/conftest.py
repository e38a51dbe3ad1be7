# SPDX-License-Identifier: BSD-3-Clause
"""Axes that belong to no window, and a table to draw."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import false_discovery_control


@pytest.fixture
def ax() -> Axes:
    return Figure().subplots()


@pytest.fixture(autouse=True)
def _no_window_stays_open() -> Iterator[None]:
    plt.switch_backend("agg")
    yield
    plt.close("all")


def table_of(n_genes: int, *, sample: str = "T1", seed: int = 0) -> pd.DataFrame:
    """A table like `differential_expression`'s, a tenth of whose genes changed."""
    rng = np.random.default_rng(seed)
    change = np.where(rng.random(n_genes) < 0.1, rng.normal(0.0, 3.0, n_genes), rng.normal(0.0, 0.3, n_genes))
    log_p = -0.5 * (change / 0.4) ** 2
    expected = np.exp(rng.normal(4.0, 2.0, n_genes))
    return pd.DataFrame(
        {
            "sample": sample,
            "gene": [f"G{i}" for i in range(n_genes)],
            "observed": np.round(expected * 2**change),
            "baseMean": expected,
            "log2FoldChange": change,
            "pvalue": np.exp(log_p),
            "padj": false_discovery_control(np.exp(log_p)),
            "log_pvalue": log_p,
            "r": 5.0,
            "stat": np.sign(change) * np.abs(change) / 0.3,
        }
    )
