# SPDX-License-Identifier: BSD-3-Clause
"""PyDGD: a sample's closest normal by a deep generative decoder, and the genes that differ from it.

Names load on first use, so that importing the package costs nothing (torch alone takes a second).

Example:
    >>> import pydgd
    >>> sorted(pydgd.__all__)
    ['ClosestNormal', 'DGD', 'GeneTable', '__version__', 'adapt', 'annotate', 'calibration_report',
     'closest_normal_by_batch', 'data', 'differential_expression', 'errors', 'pl', 'read_counts', 'report',
     'tl', 'wide']
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pydgd._version import __version__

if TYPE_CHECKING:
    from pydgd import data, errors, pl, report, tl
    from pydgd.calibration import calibration_report
    from pydgd.data import GeneTable, read_counts
    from pydgd.dgd import DGD
    from pydgd.differential import differential_expression
    from pydgd.inference import ClosestNormal
    from pydgd.laboratory import adapt, closest_normal_by_batch
    from pydgd.results import annotate, wide

__all__ = [
    "DGD",
    "ClosestNormal",
    "GeneTable",
    "__version__",
    "adapt",
    "annotate",
    "calibration_report",
    "closest_normal_by_batch",
    "data",
    "differential_expression",
    "errors",
    "pl",
    "read_counts",
    "report",
    "tl",
    "wide",
]

_WHERE = {
    "DGD": ("pydgd.dgd", "DGD"),
    "ClosestNormal": ("pydgd.inference", "ClosestNormal"),
    "GeneTable": ("pydgd.data", "GeneTable"),
    "adapt": ("pydgd.laboratory", "adapt"),
    "annotate": ("pydgd.results", "annotate"),
    "calibration_report": ("pydgd.calibration", "calibration_report"),
    "closest_normal_by_batch": ("pydgd.laboratory", "closest_normal_by_batch"),
    "data": ("pydgd.data", None),
    "differential_expression": ("pydgd.differential", "differential_expression"),
    "errors": ("pydgd.errors", None),
    "pl": ("pydgd.pl", None),
    "read_counts": ("pydgd.data", "read_counts"),
    "report": ("pydgd.report", None),
    "tl": ("pydgd.tl", None),
    "wide": ("pydgd.results", "wide"),
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # a module attribute may be anything
    if name not in _WHERE:
        raise AttributeError(f"module 'pydgd' has no attribute {name!r}")
    if name == "read_counts":
        from pydgd.probe import prepare

        # It starts while the next line loads pandas and anndata.
        prepare()
    module_name, attribute = _WHERE[name]
    module = import_module(module_name)
    value = module if attribute is None else getattr(module, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
