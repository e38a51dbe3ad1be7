# SPDX-License-Identifier: BSD-3-Clause
"""Whether a sample's closest normal is worth something, in words."""

import re
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from pydgd.inference.flags import Limit

Level = Literal["close", "far", "unknown"]

_COUNT = re.compile(r"(.+?) (\d+)(?:, |$)")
_SHARE = re.compile(r"(.+?) (\d\.\d\d)(?:, |$)")

_HEADLINES: dict[Level, str] = {
    "close": "There is a close normal: the sample fits as well as healthy samples that training did not see.",
    "far": "There is no close normal: the sample is unlike healthy samples that training did not see. "
    "Read its changes with caution.",
    "unknown": "Whether there is a close normal is not known: the model holds too few healthy samples that "
    "training did not see to compare with.",
}


@dataclass(frozen=True)
class Verdict:
    """What to tell a reader about a sample's fit.

    Attributes:
        level: Whether there is a close normal.
        headline: The same in a sentence.
        details: Why, a sentence each.
        nearest: Tissues of the nearest healthy samples, or of the components, or nothing.
    """

    level: Level
    headline: str
    details: tuple[str, ...]
    nearest: str

    @classmethod
    def of(cls, fit: pd.Series, limits: tuple[Limit, Limit] | None) -> "Verdict":
        """Put the flags of a sample's fit into words.

        Args:
            fit: The sample's row of `ClosestNormal.fit`.
            limits: Beyond which misfit and distance there is no close normal, `FitFlags.limits`.
        """
        close = fit.get("dgd_close_normal")
        level: Level = "unknown" if pd.isna(close) else "close" if bool(close) else "far"
        details = [*_nearest_details(fit), *_measured_details(fit, limits), *_search_details(fit)]
        return cls(level, _HEADLINES[level], tuple(details), _nearest(fit))


def _nearest(fit: pd.Series) -> str:
    if "dgd_nearest_labels" in fit:
        return _counted(str(fit["dgd_nearest_labels"]))
    shares = fit.get("dgd_nearest_components")
    return "" if pd.isna(shares) else _shared(str(shares))


def _nearest_details(fit: pd.Series) -> list[str]:
    said = []
    if "dgd_nearest_labels" in fit:
        said.append(f"The nearest healthy samples: {_counted(str(fit['dgd_nearest_labels']))}.")
    if fit.get("dgd_nearest_components"):
        said.append(f"The components that it belongs to hold: {_shared(str(fit['dgd_nearest_components']))}.")
    return said


def _counted(labels: str) -> str:
    """``colon 4, rectum 1`` for people who have not read what the number is."""
    found = _COUNT.findall(labels)
    total = sum(int(count) for _, count in found)
    return ", ".join(f"{label} ({count} of {total})" for label, count in found)


def _shared(labels: str) -> str:
    """``kidney 0.93, liver 0.05`` in per cent."""
    return ", ".join(f"{label} ({100 * float(share):.0f} %)" for label, share in _SHARE.findall(labels))


def _measured_details(fit: pd.Series, limits: tuple[Limit, Limit] | None) -> list[str]:
    if limits is None:
        return []
    misfit, distance = limits
    return [
        _against(
            "Misfit of the counts", fit["dgd_misfit"], misfit,
            within="as close to its normal as healthy samples are (1 is usual)",
            beyond="no healthy sample that the model can make comes near it",
        ),
        _against(
            "Distance to healthy samples", fit["dgd_distance"], distance,
            within="healthy samples lie around it",
            beyond="hardly any healthy sample is near",
        ),
    ]  # fmt: skip


def _against(what: str, value: float, limit: Limit, *, within: str, beyond: str) -> str:
    if value > limit.threshold:
        return f"{what} {value:.3g}, above the limit of {limit.threshold:.3g}: {beyond}."
    return f"{what} {value:.3g}, within the limit of {limit.threshold:.3g}: {within}."


def _search_details(fit: pd.Series) -> list[str]:
    said = []
    if fit["dgd_measured_share"] < 1:
        said.append(f"{100 * fit['dgd_measured_share']:.1f} % of the model's genes were measured.")
    if not fit["dgd_converged"]:
        said.append("The search for its closest normal did not settle: run it again or ask whoever ran it.")
    return said
