# SPDX-License-Identifier: BSD-3-Clause
"""Generated pages say what the code and the results say: commands, errors, exit codes, figures."""

import ast
import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest
import typer

from pydgd.cli import boundary
from pydgd.cli.app import app

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def generated() -> ModuleType:
    """docs/_site/generated.py, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("generated", DOCS / "_site" / "generated.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_command_and_option_is_there(generated: ModuleType) -> None:
    page = generated.commands()
    for name, command in typer.main.get_command(app).commands.items():
        section = re.split(rf"^## pydgd {name}\b", page, maxsplit=1, flags=re.MULTILINE)[1]
        parameters = [] if hasattr(command, "commands") else command.params
        missing = [p.name for p in parameters if not any(o in section for o in (p.metavar, *p.opts) if o)]
        assert missing == []


def test_table_cells_hold_together(generated: ModuleType) -> None:
    """A bar in a help text would begin another cell."""
    for page in (generated.commands(), generated.errors_table(), generated.benchmarks()):
        tables = re.findall(r"(?:^\|.*\n?)+", page, re.MULTILINE)
        assert tables
        for table in tables:
            widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
            assert len(widths) == 1, table[:300]


def test_every_error_class_has_its_messages(generated: ModuleType) -> None:
    page = generated.errors_table()
    for name, messages in generated.messages().items():
        assert f"### {name}\n" in page
        assert messages or name == "ConvergenceError"


def test_no_message_is_overlooked(generated: ModuleType) -> None:
    """Every place that makes an error of ours with words of its own is in the table."""
    found = generated.messages()
    for path in sorted(generated.SOURCE.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in found:
                words = [
                    n.value for n in ast.walk(call) if isinstance(n, ast.Constant) and " " in str(n.value)
                ]
                listed = " ".join(found[call.func.id])
                assert not words or any(word in listed for word in words), f"{path.name}:{call.lineno}"


def test_what_is_quoted_as_met_most_often_is_said(generated: ModuleType) -> None:
    """Each quoted message of the hand-written table is in the source, … standing for anything."""
    text = (DOCS / "troubleshooting.md").read_text()
    table = text.split("begins or says")[1].split("## All messages")[0]
    quoted = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    source = "".join(path.read_text() for path in generated.SOURCE.rglob("*.py"))
    strings = [
        n.value
        for n in ast.walk(ast.parse(source.replace("from __future__", "#")))
        if isinstance(n, ast.Constant)
    ]
    said = "\n".join(value for value in strings if isinstance(value, str))
    for message in quoted:
        parts = [part.strip() for part in re.split("…|0 ", message) if part.strip()]
        assert all(part in said for part in parts), message


def test_every_exit_code_is_explained() -> None:
    text = (DOCS / "troubleshooting.md").read_text()
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert listed == {
        boundary.OK,
        boundary.BUG,
        boundary.BAD_INPUT,
        boundary.INTERRUPTED,
        boundary.TERMINATED,
    }


def test_figures_are_shown_as_they_are_missed_or_met(
    generated: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = [
        {"what": "a|b", "value": 1.23456, "must": "<= 1", "ok": False},
        {"what": "c", "value": 2, "must": "", "ok": None},
    ]
    run = {"versions": {"python": "3.11"}, "machine": "M", "figures": figures}
    (tmp_path / "some_run.json").write_text(json.dumps(run))
    (tmp_path / "some_run-quick.json").write_text("{}")
    monkeypatch.setattr(generated, "RESULTS", tmp_path)
    page = generated.benchmarks()
    assert r"| a\|b | 1.23 | \<= 1 | **missed** |" in page
    assert r"| [some_run](#some-run) | a\|b | 1.23 | \<= 1 |" in page
    assert "| c | 2 |  |  |" in page


def test_every_placeholder_stands_in_a_page(generated: ModuleType) -> None:
    pages = "".join(path.read_text() for path in DOCS.glob("*.md"))
    assert all(f"\n{placeholder}\n" in pages for placeholder in generated.PLACEHOLDERS)
