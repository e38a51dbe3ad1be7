# SPDX-License-Identifier: BSD-3-Clause
"""Pages that are read off the code and the benchmarks' results when the site is built."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import typer

from pydgd import errors
from pydgd.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "pydgd"
RESULTS = ROOT / "benchmarks" / "results"


def plain(text: object) -> str:
    r"""Text as Markdown shows it unchanged in a table; `code` stays code.

    Example:
        >>> plain("a|b, *.csv or `a_b`")
        'a\\|b, \\*.csv or `a_b`'
    """
    parts = re.split(r"(`[^`]+`)", " ".join(str(text).split()))
    return "".join(
        part.replace("|", r"\|") if part.startswith("`") else re.sub(r"([\\*_<>\[\]|$`#~])", r"\\\1", part)
        for part in parts
    )


def commands() -> str:
    """Every command with its arguments and options, from the commands themselves."""
    return "\n\n".join(_command(name, command) for name, command in _commands(typer.main.get_command(app)))


def _commands(group: Any, prefix: str = "pydgd") -> Iterator[tuple[str, Any]]:  # noqa: ANN401  # typer's
    for name, command in group.commands.items():
        inner = getattr(command, "commands", None)
        if inner is None:
            yield f"{prefix} {name}", command
        else:
            yield from _commands(command, f"{prefix} {name}")


def _command(name: str, command: Any) -> str:  # noqa: ANN401
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    words = [p.metavar or p.name.upper() for p in arguments]
    usage = " ".join([name, *words, "[OPTIONS]"])
    panels: dict[str, list[Any]] = {}
    for parameter in command.params:
        usual = "Arguments" if parameter in arguments else "Options"
        panels.setdefault(parameter.rich_help_panel or usual, []).append(parameter)
    paragraphs = [plain(paragraph) for paragraph in command.help.split("\n\n")]
    tables = [_table(title, members) for title, members in panels.items()]
    return "\n\n".join([f"## {name}", f"```text\n{usage}\n```", *paragraphs, *tables])


def _table(title: str, parameters: list[Any]) -> str:
    rows = "\n".join(f"| {_names(p)} | {plain(p.help)}{_remark(p)} |" for p in parameters)
    return f"| {title} | |\n|---|---|\n{rows}"


def _names(parameter: Any) -> str:  # noqa: ANN401
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    return names + (" `" + parameter.metavar.replace("|", r"\|") + "`" if parameter.metavar else "")


def _remark(parameter: Any) -> str:  # noqa: ANN401
    if parameter.required:
        return " **Required.**"
    shown = parameter.param_type_name == "option" and str(parameter.default) not in (
        "None",
        "False",
        "",
        "()",
    )
    return f" Default: `{parameter.default}`." if shown else ""


def error_classes() -> dict[str, type[errors.PyDGDError]]:
    """Kinds of errors by name, the base left aside."""
    found = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type)}
    return {name: kind for name, kind in found.items() if kind is not errors.PyDGDError}


@cache
def messages() -> dict[str, dict[str, set[str]]]:
    """Every message that the source gives to an error of `pydgd.errors`: kind → message → files.

    Values stand as … in a message.
    """
    found: dict[str, dict[str, set[str]]] = {name: {} for name in error_classes()}
    for path in sorted(SOURCE.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.args):
                continue
            message = _literal(call.args[0])
            if call.func.id in found and message.strip("… "):
                place = found[call.func.id].setdefault(message, set())
                place.add(path.relative_to(SOURCE).as_posix())
    return found


def _literal(node: ast.expr) -> str:
    """The words of a message, with … for what is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return re.sub("(…)+", "…", "".join(_literal(value) for value in node.values))
    if isinstance(node, ast.BinOp):
        return _literal(node.left) + _literal(node.right)
    return "…"


def errors_table() -> str:
    """Every kind of error with all of its messages."""
    sections = []
    for name, kind in error_classes().items():
        rows = "\n".join(f"| {plain(message)} |" for message in sorted(messages()[name], key=str.lower))
        builtin = kind.__mro__[2].__name__
        sections.append(
            f"### {name}\n\n{plain(kind.__doc__)} In Python also a `{builtin}`.\n\n| message |\n|---|\n{rows}"
        )
    return "\n\n".join(sections)


def benchmarks() -> str:
    """Every figure of the full runs, misses among them."""
    runs = [path for path in sorted(RESULTS.glob("*.json")) if not path.stem.endswith("-quick")]
    return "\n\n".join([_missed(runs), *map(_run, runs)])


def _missed(runs: list[Path]) -> str:
    rows = [
        f"| [{run.stem}](#{run.stem.replace('_', '-')}) | {plain(figure['what'])} "
        f"| {_value(figure['value'])} | {plain(figure['must'])} |"
        for run in runs
        for figure in json.loads(run.read_text())["figures"]
        if figure["ok"] is False
    ]
    if not rows:
        return "No figure misses what is asked of it."
    return "## What is missed\n\n| benchmark | what | measured | must |\n|---|---|---|---|\n" + "\n".join(
        rows
    )


def _run(path: Path) -> str:
    content = json.loads(path.read_text())
    versions = ", ".join(f"{name} {number}" for name, number in content["versions"].items())
    rows = "\n".join(
        f"| {plain(f['what'])} | {_value(f['value'])} | {plain(f['must'])} | {_MARKS[f['ok']]} |"
        for f in content["figures"]
    )
    head = f"## {path.stem.replace('_', '-')}\n\n{plain(content['machine'])}; {plain(versions)}."
    return f"{head}\n\n| what | measured | must | |\n|---|---|---|---|\n{rows}"


_MARKS = {True: "ok", False: "**missed**", None: ""}


def _value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else plain(value)


PLACEHOLDERS: dict[str, Callable[[], str]] = {
    "% commands": commands,
    "% errors": errors_table,
    "% benchmarks": benchmarks,
}
"""What stands in a page, and what takes its place."""
