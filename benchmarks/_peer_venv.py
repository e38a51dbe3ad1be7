# SPDX-License-Identifier: BSD-3-Clause
"""The peer, bulkdgd 2.0.1, in an environment of its own: run and timed, never imported here."""

import json
import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / ".peer-venv"

# torch first and by itself, so that pip takes the build that this machine is set up for.
PACKAGES = ("torch==2.13.0", "bulkdgd==2.0.1")


def peer_python() -> Path:
    """Interpreter of `.peer-venv`, which is made on the first call (minutes) and ignored by git."""
    python = FOLDER / "bin" / "python"
    done = FOLDER / "installed.json"
    if not (done.exists() and json.loads(done.read_text()) == list(PACKAGES)):
        venv.create(FOLDER, with_pip=True, clear=True)
        (FOLDER / ".gitignore").write_text("*\n")
        for package in PACKAGES:
            subprocess.run([python, "-m", "pip", "install", "--quiet", package], check=True)
        done.write_text(json.dumps(PACKAGES))
    return python


def run_peer(script: str, *arguments: str) -> dict[str, float]:
    """Run `script` in the peer's environment; its last line of output is a JSON object.

    Args:
        script: Python source.
        arguments: What it finds in ``sys.argv[1:]``.
    """
    command = [str(peer_python()), "-c", script, *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        sys.exit(f"the peer failed: {finished.stderr[-2000:]}")
    result: dict[str, float] = json.loads(finished.stdout.strip().splitlines()[-1])
    return result
