# SPDX-License-Identifier: BSD-3-Clause
"""Plots of results and representations: DataFrame or array in, matplotlib Axes out.

Every function draws on ``ax=`` if it is given, else on a new pyplot figure, which a notebook shows by
itself. Your rcParams stay in force; colour-blind readers tell the colours apart; more than 2,000 points are
rasterised.
"""

from pydgd.plotting.agreement import observed_expected
from pydgd.plotting.bars import enrichment_bars, recurrence
from pydgd.plotting.calibration import calibration, calibration_quantiles
from pydgd.plotting.dispersion import dispersion_mean, r_values
from pydgd.plotting.heatmap import residual_heatmap
from pydgd.plotting.history import loss_history
from pydgd.plotting.latent import latent_map
from pydgd.plotting.ma import ma
from pydgd.plotting.volcano import volcano

__all__ = [
    "calibration",
    "calibration_quantiles",
    "dispersion_mean",
    "enrichment_bars",
    "latent_map",
    "loss_history",
    "ma",
    "observed_expected",
    "r_values",
    "recurrence",
    "residual_heatmap",
    "volcano",
]
