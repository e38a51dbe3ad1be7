# SPDX-License-Identifier: BSD-3-Clause
"""What every benchmark reports: measured figures against what they must be, as a table and as JSON."""

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("pydgd", "torch", "numpy", "scipy", "scikit-learn", "pandas", "anndata")


def machine() -> str:
    """Processor and number of cores; neither host names nor paths."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores"


class Figures:
    """The figures of one benchmark run.

    Args:
        name: Stem of the JSON file in ``benchmarks/results``.
        quick: Whether this is the short run, which gets its own file ``<name>-quick.json``.
    """

    def __init__(self, name: str, quick: bool = False) -> None:
        self.name = f"{name}-quick" if quick else name
        self.figures: list[dict[str, object]] = []
        # Of a benchmark too long for one go, whose parts may be measured on different days.
        self.part = ""

    def add(self, what: str, value: float | str, must: str = "", ok: bool | None = None) -> None:
        """Record one figure; `must` says what is asked, `ok` whether it is met (None: nothing is asked)."""
        met = None if ok is None else bool(ok)
        part = {"part": self.part} if self.part else {}
        self.figures.append({"what": what, "value": value, "must": must, "ok": met, **part})

    def keep_other_parts(self, part: str) -> None:
        """Take over what an earlier run recorded, but for the part that is measured again."""
        path = RESULTS / f"{self.name}.json"
        recorded = json.loads(path.read_text())["figures"] if path.exists() else []
        self.figures += [figure for figure in recorded if figure.get("part") != part]

    def show(self) -> int:
        """Print the table; the exit code is 1 when a must is missed."""
        for figure in self.figures:
            value, ok = figure["value"], figure["ok"]
            shown = f"{value:.3g}" if isinstance(value, float) else str(value)
            mark = {True: "ok", False: "MISSED", None: ""}[ok]
            print(f"{figure['what']:<84} {shown:>12}  {figure['must']:<28} {mark}")
        return int(any(figure["ok"] is False for figure in self.figures))

    def finish(self) -> int:
        """Print the table, write the JSON in one step, and return the exit code: 1 when a must is missed."""
        code = self.show()
        packages = {package: version(package) for package in PACKAGES}
        content = {
            "versions": {"python": platform.python_version(), **packages},
            "machine": machine(),
            "figures": self.figures,
        }
        RESULTS.mkdir(exist_ok=True)
        scratch = RESULTS / f"{self.name}.json.part"
        scratch.write_text(json.dumps(content, indent=1) + "\n")
        scratch.replace(RESULTS / f"{self.name}.json")
        return code
