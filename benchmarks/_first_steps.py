# SPDX-License-Identifier: BSD-3-Clause
"""A newcomer: the quickstart word for word on a fresh clone, and the site without a warning."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def add_figures(figures, folder: Path) -> None:
    """Clone what is committed, run the quickstart's blocks in it as one script, and build the site.

    Args:
        figures: Where to.
        folder: For the clone.
    """
    clone, script = folder / "clone", folder / "quickstart.sh"
    subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
    blocks = [sys.executable, "docs/_site/blocks.py", "--script", "docs/quickstart.md"]
    script.write_text(subprocess.run(blocks, cwd=clone, check=True, capture_output=True, text=True).stdout)
    quickstart = subprocess.run(["bash", script], cwd=clone, check=False, capture_output=True)
    figures.add("quickstart, word for word, on a fresh clone", *_works(quickstart))
    site = subprocess.run(["make", "docs"], cwd=clone, check=False, capture_output=True)
    figures.add("site, each warning being an error", *_works(site))


def _works(done) -> tuple[str, str, bool]:
    if done.returncode:
        print(done.stderr.decode()[-2000:], file=sys.stderr)
    return ("fails" if done.returncode else "works"), "works", not done.returncode
