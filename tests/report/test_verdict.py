# SPDX-License-Identifier: BSD-3-Clause
"""Fit flags in words."""

import numpy as np
import pandas as pd
import pytest

from pydgd.inference.flags import Limit
from pydgd.report.verdict import Verdict

# Thresholds of 2 and 10.
LIMITS = (Limit(0.0, float(np.log(2.0))), Limit(0.0, float(np.log(10.0))))


def fit(**changes) -> pd.Series:
    usual = {
        "dgd_close_normal": True,
        "dgd_misfit": 1.1,
        "dgd_distance": 7.0,
        "dgd_nearest_labels": "colon 4, rectum 1",
        "dgd_nearest_components": "colon 0.93",
        "dgd_measured_share": 1.0,
        "dgd_converged": True,
    }
    return pd.Series(usual | changes)


def test_a_close_normal_says_so() -> None:
    """With what is near, and both measures within their limits."""
    verdict = Verdict.of(fit(), LIMITS)
    assert verdict.level == "close"
    assert verdict.headline.startswith("There is a close normal")
    assert verdict.nearest == "colon (4 of 5), rectum (1 of 5)"
    text = " ".join(verdict.details)
    assert "The nearest healthy samples: colon (4 of 5), rectum (1 of 5)." in text
    assert "hold: colon (93 %)." in text
    assert "Misfit of the counts 1.1, within the limit of 2" in text
    assert "Distance to healthy samples 7, within the limit of 10" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"dgd_misfit": 3.0}, "Misfit of the counts 3, above the limit of 2: no healthy sample"),
        ({"dgd_distance": 12.0}, "Distance to healthy samples 12, above the limit of 10: hardly any"),
    ],
)
def test_no_close_normal_says_why(change, words) -> None:
    """The measure that is beyond its limit."""
    verdict = Verdict.of(fit(dgd_close_normal=False, **change), LIMITS)
    assert verdict.level == "far"
    assert "caution" in verdict.headline
    assert words in " ".join(verdict.details)


def test_without_a_reference_it_is_not_known() -> None:
    """No limit is made up; labels may be missing as well."""
    row = fit(dgd_close_normal=pd.NA, dgd_misfit=np.nan).drop("dgd_nearest_labels")
    verdict = Verdict.of(row, None)
    assert verdict.level == "unknown"
    assert "limit" not in " ".join(verdict.details)
    assert verdict.nearest == "colon (93 %)"


def test_labels_with_numbers_and_commas_keep_them() -> None:
    """Only the last number of each is the count."""
    verdict = Verdict.of(fit(dgd_nearest_labels="skin, sun 2 3, lung 2"), LIMITS)
    assert verdict.nearest == "skin, sun 2 (3 of 5), lung (2 of 5)"


def test_a_panel_and_a_search_that_did_not_settle_are_told() -> None:
    """Both limit what a reader may conclude."""
    text = " ".join(Verdict.of(fit(dgd_measured_share=0.5, dgd_converged=False), LIMITS).details)
    assert "50.0 % of the model's genes were measured" in text
    assert "did not settle" in text
