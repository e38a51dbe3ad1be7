# SPDX-License-Identifier: BSD-3-Clause
"""What the pages promise is there: commands, Python names, and the files that links lead to."""

import pkgutil
import re
from pathlib import Path

import pytest
import typer

from pydgd.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMANDS = set(typer.main.get_command(app).commands)


@pytest.fixture(params=PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def text(request: pytest.FixtureRequest) -> str:
    return request.param.read_text()


def test_every_command_exists(text: str) -> None:
    """Those that begin a line of a shell example, or stand in backticks."""
    named = set(re.findall(r"(?:`|^)pydgd ([a-z][\w-]*)", text, re.MULTILINE))
    assert named <= COMMANDS


def test_every_python_name_exists(text: str) -> None:
    """Modules, and what is in them."""
    for dotted in set(re.findall(r"`(pydgd\.[A-Za-z_][\w.]*)", text)):
        pkgutil.resolve_name(dotted.rstrip("."))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []
