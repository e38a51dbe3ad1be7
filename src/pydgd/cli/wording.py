# SPDX-License-Identifier: BSD-3-Clause
"""What Python calls an argument, said as the command line calls it."""

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any


def in_options(message: str, options: Mapping[str, str]) -> str:
    """A message with options in place of Python's arguments.

    Only names with an underscore are replaced, as others may be plain words; ``name=value`` and names in
    quotes stay, which the message gives on purpose.

    Args:
        message: For users of Python.
        options: Option of each argument.

    Example:
        >>> in_options("lower min_detected (min_detected=0.1 in Python)", {"min_detected": "--min-detected"})
        'lower --min-detected (min_detected=0.1 in Python)'
    """
    names = [name for name in options if "_" in name]
    if not names:
        return message
    pattern = rf"(?<![\w'\"./-])({'|'.join(map(re.escape, names))})(?![\w'\"=./-])"
    return re.sub(pattern, lambda found: options[found.group(1)], message)


def options_of(app: Any, arguments: Sequence[str]) -> dict[str, str]:  # noqa: ANN401  # typer's app
    """The options of the command that was called, by what Python calls them.

    Args:
        app: The typer app.
        arguments: What the user typed.

    Returns:
        Argument → option, such as ``"n_components"`` → ``"--components"``.
    """
    from typer.main import get_command

    called: Any = None
    commands = getattr(get_command(app), "commands", {})
    for word in arguments:
        if word in commands:
            # A group such as `pydgd plot` has commands of its own.
            called, commands = commands[word], getattr(commands[word], "commands", {})
    named = [] if called is None else called.params
    return {p.name: max(p.opts, key=len) for p in named if p.name and p.opts[0].startswith("-")}


def flowing(docstring: str | None) -> str:
    r"""A docstring as paragraphs of one line each, for the terminal to break where it ends.

    Example:
        >>> flowing("First.\n\n    A line\n    and its end.\n    ")
        'First.\n\nA line and its end.'
    """
    paragraphs = inspect.cleandoc(docstring or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
