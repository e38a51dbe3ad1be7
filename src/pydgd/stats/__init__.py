# SPDX-License-Identifier: BSD-3-Clause
"""Exact tails, p-values, residuals and the table of differential expression: numpy in, no torch."""

from pydgd.stats.calibration_report import CalibrationReport
from pydgd.stats.calibration_tally import CalibrationTally
from pydgd.stats.calls import call_directions, check_thresholds
from pydgd.stats.comparison import Comparison, compare
from pydgd.stats.differential_expression import (
    DEFAULT_PSEUDOCOUNT,
    UNTESTED_REASONS,
    Settings,
    differential_expression_table,
    iterate_differential_expression,
)
from pydgd.stats.distribution import cdf, log_cdf, log_sf, quantile, sf
from pydgd.stats.eligibility import eligible_down, eligible_up
from pydgd.stats.mass import deviance, log_mass
from pydgd.stats.multiple_testing import ADJUSTMENTS, log_adjusted_p
from pydgd.stats.named_uniforms import named_uniforms
from pydgd.stats.residuals import (
    deviance_residuals,
    mid_p_residuals,
    pearson_residuals,
    randomised_quantile_residuals,
)
from pydgd.stats.tails import Tails, tails
from pydgd.stats.two_sided import DEFAULT_RULE, RULES, log_p_value, to_p_value

__all__ = [
    "ADJUSTMENTS",
    "DEFAULT_PSEUDOCOUNT",
    "DEFAULT_RULE",
    "RULES",
    "UNTESTED_REASONS",
    "CalibrationReport",
    "CalibrationTally",
    "Comparison",
    "Settings",
    "Tails",
    "call_directions",
    "cdf",
    "check_thresholds",
    "compare",
    "deviance",
    "deviance_residuals",
    "differential_expression_table",
    "eligible_down",
    "eligible_up",
    "iterate_differential_expression",
    "log_adjusted_p",
    "log_cdf",
    "log_mass",
    "log_p_value",
    "log_sf",
    "mid_p_residuals",
    "named_uniforms",
    "pearson_residuals",
    "quantile",
    "randomised_quantile_residuals",
    "sf",
    "tails",
    "to_p_value",
]
