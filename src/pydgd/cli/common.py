# SPDX-License-Identifier: BSD-3-Clause
"""What every command shares: how much it says, how many threads it uses, and where it says it."""

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, NamedTuple

import typer

from pydgd.cli.terminal import Terminal
from pydgd.errors import ConfigError
from pydgd.words import plural


class Choice(NamedTuple):
    """An option of a command, kept in a table rather than in a signature.

    Attributes:
        kind: Type with typer's annotation.
        default: Value if the user does not say.
    """

    kind: Any
    default: Any


def _flag(*names: str, says: str) -> Choice:
    return Choice(Annotated[bool, typer.Option(*names, help=says, rich_help_panel=_PANEL)], default=False)


_PANEL = "How it runs"

MOST_THREADS = 256
"""More are refused where there are fewer than a quarter as many cores."""

_COMMON = {
    "threads": Choice(
        Annotated[
            int | None,
            typer.Option("--threads", min=1, help="Cores to use; by default all.", rich_help_panel=_PANEL),
        ],
        default=None,
    ),
    "quiet": _flag("--quiet", "-q", says="Say nothing but errors."),
    "verbose": _flag("--verbose", "-v", says="Say also what was decided on the way."),
    "debug": _flag("--debug", says="Say everything, and show where an error came from."),
}


def with_common_options(
    command: Callable[..., None], more: Mapping[str, Choice] | None = None
) -> Callable[..., None]:
    """Add ``--threads``, ``--quiet``, ``--verbose`` and ``--debug`` to a command and hand it a `Terminal`.

    Args:
        command: Its first parameter is the terminal; the others are its own options. One called ``given``
            gets the names of the options that the user gave, be it with their defaults.
        more: Further options, passed on as keyword arguments.

    Returns:
        A function whose signature typer can read.
    """

    @functools.wraps(command)
    def run(
        *,
        context: Any,  # noqa: ANN401  # typer's, which it has more than one class for
        threads: int | None,
        quiet: bool,
        verbose: bool,
        debug: bool,
        **options: Any,  # noqa: ANN401  # the command's
    ) -> None:
        _set_threads(threads)
        if asks_what_was_given:
            options["given"] = _given(context, options)
        command(Terminal.open(quiet=quiet, verbose=verbose, debug=debug), **options)

    parameters = inspect.signature(command).parameters
    asks_what_was_given = "given" in parameters
    own = [p for p in list(parameters.values())[1:] if p.kind is not p.VAR_KEYWORD and p.name != "given"]
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    added = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=choice.default, annotation=choice.kind
        )
        for name, choice in {**(more or {}), **_COMMON}.items()
    ]
    # typer reads the signature and the annotations; those of `run` itself say nothing.
    run.__signature__ = inspect.Signature([*own, context, *added])  # type: ignore[attr-defined]  # inspect's protocol
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, context, *added)}
    return run


def _given(context: Any, names: Iterable[str]) -> frozenset[str]:  # noqa: ANN401  # see above
    return frozenset(name for name in names if context.get_parameter_source(name).name != "DEFAULT")


def _set_threads(n_threads: int | None) -> None:
    """Tell torch, BLAS and OpenMP, which read these variables when they load: later, inside the command."""
    # Threads that wait actively starve those that work once other programs share the cores: training 400
    # samples took 107 s on two busy cores, and 10 s with waiting threads asleep.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if n_threads is not None:
        _check_threads(n_threads)
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[name] = str(n_threads)


def _check_threads(n_threads: int) -> None:
    n_cores = os.cpu_count() or 1
    # A script for a large machine runs on a small one; systems let a user have some thousands of threads.
    most = max(MOST_THREADS, 4 * n_cores)
    if n_threads > most:
        raise ConfigError(
            f"--threads {n_threads:,}: this machine has {plural(n_cores, 'core')}; give at most {most:,}; "
            "more than there are cores make nothing faster"
        )
