# SPDX-License-Identifier: BSD-3-Clause
"""Coverage of `src` by the default tests: what `make test` runs, with pytest-cov beside it."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def add_figures(figures, folder: Path) -> None:
    """Run the tests and report the shares of lines and of branches that they pass.

    Args:
        figures: Where to.
        folder: For what the tests and the count leave.
    """
    report = folder / "coverage.json"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "--dist", "loadfile"]
    command += ["--cov=pydgd", "--cov-branch", f"--cov-report=json:{report}", "--cov-report="]
    environment = {**os.environ, **ONE_THREAD, "COVERAGE_FILE": str(folder / "coverage")}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    if done.returncode:
        figures.add("coverage of src by make test: lines", "tests fail", ">= 0.95", ok=False)
        return
    content = json.loads(report.read_text())
    totals = content["totals"]
    lines = totals["covered_lines"] / totals["num_statements"]
    branches = totals["covered_branches"] / totals["num_branches"]
    figures.add("coverage of src by make test: lines", lines, ">= 0.95", lines >= 0.95)
    figures.add("coverage of src by make test: branches", branches, ">= 0.90", branches >= 0.90)
    for path, file in sorted(content["files"].items(), key=_n_missed, reverse=True)[:30]:
        print(f"not passed: {path}: {file['missing_lines'][:20]}", file=sys.stderr)


def _n_missed(item) -> int:
    summary = item[1]["summary"]
    return summary["missing_lines"] + summary["missing_branches"]
