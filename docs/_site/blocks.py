# SPDX-License-Identifier: BSD-3-Clause
"""Runs the code blocks of a page, in their order, and says what they printed and drew.

``bash`` and ``python`` blocks are run; the Python blocks of a page are one session. ``sh`` blocks set up a
fresh machine: only ``--script`` has them, which prints the page as one shell script. Others are not run.

Usage: python blocks.py PAGE          runs in the working directory, prints JSON
       python blocks.py --script PAGE
"""

import contextlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# News on how far a command has come differ from run to run and say nothing afterwards.
_PROGRESS = re.compile(r"^[a-z -]+: [\d,]+ of [\d,]+ .*\n", re.MULTILINE)


class Block(NamedTuple):
    """A block of code, and where it ends in the page."""

    language: str
    code: str
    end: int


class Outcome(NamedTuple):
    """What a block printed, and the pictures it drew."""

    text: str
    pictures: list[str]


def blocks_of(text: str, languages: Iterable[str] = ("bash", "python")) -> list[Block]:
    r"""The blocks of some languages.

    Example:
        >>> blocks_of("Hi\n```bash\nls\n```\n")
        [Block(language='bash', code='ls\n', end=17)]
    """
    found = (Block(fence[1], fence[2], fence.end()) for fence in _FENCE.finditer(text))
    return [block for block in found if block.language in languages]


def script_of(text: str) -> str:
    """A page as a shell script: what a reader types who copies block after block."""
    parts = []
    for block in blocks_of(text, ("sh", "bash", "python")):
        python = block.language == "python"
        parts.append(f"python - <<'END_OF_PYTHON'\n{block.code}END_OF_PYTHON\n" if python else block.code)
    return "set -e\n" + "\n".join(parts)


def run_page(page: Path, folder: Path) -> list[Outcome]:
    """Run a page in a process of its own, in a folder that is emptied first.

    Raises:
        RuntimeError: If a block fails; it has what the block printed.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": tools, "MPLBACKEND": "agg", "COLUMNS": "100"}
    command = [sys.executable, __file__, str(page)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise RuntimeError(f"{page.name}: {done.stdout}{done.stderr}")
    return [Outcome(*outcome) for outcome in json.loads(done.stdout)]


def with_outputs(text: str, outcomes: list[Outcome], folder: str) -> str:
    """A page with what each block printed and drew below it."""
    parts, last = [], 0
    for block, outcome in zip(blocks_of(text), outcomes, strict=True):
        shown = f"\n\n```text\n{outcome.text.rstrip()}\n```" if outcome.text.strip() else ""
        shown += "".join(f"\n\n![{Path(name).stem}]({folder}/{name})" for name in outcome.pictures)
        parts += [text[last : block.end], shown]
        last = block.end
    return "".join([*parts, text[last:]])


def _run(text: str) -> list[Outcome]:
    session: dict[str, object] = {"__name__": "__main__"}
    outcomes = []
    for number, block in enumerate(blocks_of(text), 1):
        before = _pictures()
        printed, failed = (
            _run_python(block.code, session) if block.language == "python" else _run_bash(block.code)
        )
        if failed:
            sys.exit(f"block {number} failed:\n{block.code}\nIt printed:\n{printed}")
        outcomes.append(Outcome(_PROGRESS.sub("", printed), sorted(_pictures() - before)))
    return outcomes


def _pictures() -> set[str]:
    return {str(path) for path in Path().rglob("*.png")}


def _run_bash(code: str) -> tuple[str, bool]:
    done = subprocess.run(  # noqa: S603  # the page's own code
        ["bash", "-euo", "pipefail", "-c", code],  # noqa: S607
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.stdout, done.returncode != 0


def _run_python(code: str, session: dict[str, object]) -> tuple[str, bool]:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            exec(compile(code, "<page>", "exec"), session)  # noqa: S102  # the page's own code
        except BaseException:  # whatever it is, the page is wrong
            traceback.print_exc()
            return printed.getvalue(), True
    return printed.getvalue(), False


if __name__ == "__main__":
    *_options, _page = sys.argv[1:]
    _text = Path(_page).read_text()
    print(script_of(_text) if _options == ["--script"] else json.dumps(_run(_text)))  # noqa: T201
