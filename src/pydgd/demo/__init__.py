# SPDX-License-Identifier: BSD-3-Clause
"""The main job on a simulated cohort, or on patients drawn from a model, compared with the truth."""

from pydgd.demo.result import FILES, Accuracy, Case, DemoResult
from pydgd.demo.run import run_demo

__all__ = ["FILES", "Accuracy", "Case", "DemoResult", "run_demo"]
