# SPDX-License-Identifier: BSD-3-Clause
"""Command lines that nobody should type: every command, its options with values of all kinds."""

import contextlib
import io
import logging
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import typer

from pydgd import DGD
from pydgd.cli import main
from pydgd.cli.app import app
from pydgd.data import simulate_cohort
from pydgd.data.h5ad_writer import write_h5ad

NUMBERS = (
    "0", "-1", "1", "2", "0.5", "-0.5", "1.5", "nan", "NaN", "inf", "-inf", "1e400", "1e-400", "-0", "0x10",
    "1_000", "1,5", "12a", "\u0663", "\uff19", "+1", "1e3", "9" * 30, "-" + "9" * 30, str(2**31),
    str(2**63), str(2**64),
)  # fmt: skip
TEXTS = (
    "", " ", "\t", "\n", "a", "-", "--", "--help-me", "é", "\u202e", "\ud7ff", "\U0001f9ec", "x" * 5000,
    "a=b",
    "a=", "=b", "a!=b", "=", "a=b=c", "a,b", ",", "a<1", "<", "a<nan", "[red]", "[/]", "{", "%s", "{0}",
    "(", "[",
    "*", "**", "?", "\\", "'", '"', "None", "null", "NA", "nan", "-1", "0", "1", "../x", "/", ".", "..",
    "~", "$HOME",
)  # fmt: skip
PATHS = (
    "no-such-file", "no/such/folder/x.csv", "no-such.h5ad", "no-such.dgd", ".", "..", "/", "/dev/null",
    "/dev/full",
    "/proc/self/mem", "/proc/self/x.csv", "x" * 300 + ".csv", "", " ", "é.csv", "a\nb.csv", "out.dgd",
    "out.h5ad",
    "out.zarr", "out.csv", "out.csv.gz", "out.tsv", "out.parquet", "out.png", "out.svg", "out.pdf",
    "out.html",
    "out.txt", "out", "a*.csv", "[", "~/x.csv", "%s.csv", "../../x.csv",
)  # fmt: skip
# What is asked for is done: days of work for who wants them. These get numbers that are small, or none.
LONG = frozenset(
    {"--epochs", "--permutations", "--attempts", "--jobs", "--timeout", "--n-synthetic", "--more-dims"}
    | {"--more-components", "--threads"}
)
SMALL = ("0", "-1", "1", "2", "nan", "inf", "-inf", "1.5", "a", "", "1e400", "0x1", "-" + "9" * 30)
# Searches and whole demonstrations last; help says the same for all.
LEFT_OUT = frozenset({"--search", "--help", "--debug", "--version"})
OFFLINE = "http://127.0.0.1:9"
TABLES_BESIDE = (
    "densities", "typical", "labels", "consensus", "summary", "samples", "matrix", "recurrence",
    "metadata", "list",
)  # fmt: skip


def commands() -> dict[str, Any]:
    """Every command under its words."""
    found: dict[str, Any] = {}

    def walk(group: Any, words: tuple[str, ...]) -> None:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                walk(command, (*words, name))
            else:
                found[" ".join((*words, name))] = command

    walk(typer.main.get_command(app), ())
    return found


def usual(folder: Path) -> dict[str, tuple[str, ...]]:
    """Good values by the names of arguments and options; files lie in `folder`."""
    files = {
        name: str(folder / name)
        for name in (
            "normals.dgd", "normals.h5ad", "cases.h5ad", "normal.h5ad", "de.csv", "sets.gmt", "groups.csv",
        )
    }  # fmt: skip
    counts = (files["cases.h5ad"], files["normals.h5ad"])
    return {
        "model": (files["normals.dgd"],),
        "counts": counts,
        "healthy": (files["normals.h5ad"],),
        "table": (files["de.csv"], files["normal.h5ad"]),
        "tables": (files["de.csv"],),
        "source": (files["normal.h5ad"], files["normals.dgd"]),
        "data": (files["normal.h5ad"],),
        "sets": (files["sets.gmt"],),
        "url": ("http://127.0.0.1:9/x.dgd",),
        "--replay": (files["normals.h5ad"],),
        "--healthy": (files["normals.h5ad"],),
        "--normal": (files["normal.h5ad"],),
        "--query": (files["normal.h5ad"],),
        "--groups": (files["groups.csv"], files["cases.h5ad"]),
        "--gene-sets": (files["sets.gmt"],),
        "--model": (files["normals.dgd"],),
        "--where": ("tissue=tissue_0", "tissue!=tissue_1"),
        "--group-column": ("group", "tissue"),
        "--group-key": ("tissue", "donor"),
        "--label-key": ("tissue",),
        "--color-by": ("tissue",),
        "--only": ("padj<0.05",),
        "--wide": ("padj",),
        "--sample": ("C00001",),
        "--server": ("http://127.0.0.1:9",),
        "--mirror": ("http://127.0.0.1:9",),
        **{f"--{name}": (f"{name}.csv",) for name in TABLES_BESIDE},
        "--search-table": ("search.csv",),
        "--save": ("map.json",),
        "--plot": ("plot.png",),
        "--synthetic": ("synthetic.h5ad",),
        "--per-sample": ("samples",),
        "--latent-dim": ("1", "2", "3"),
        "--hidden-layers": ("4", "4,4"),
        "--method": ("pca", "gsea", "over-representation"),
        "--likelihood": ("plain", "contaminated"),
        "--scaling": ("total", "model", "fitted"),
        "--point": ("map", "posterior"),
        "--direction": ("up",),
        "--kind": ("mid-p", "pearson", "violin"),
        "--x": ("gene", "log2FoldChange"),
        "--y": ("gene", "padj"),
        "--cache": ("cache",),
    }


# So that no line takes long, whatever else it says.
ALWAYS = {
    "train": {"--epochs": ("1", "2"), "--latent-dim": ("2", "nan", "0")},
    "fine-tune": {"--epochs": ("1", "2")},
    "simulate": {"--tissues": ("2",), "--per-tissue": ("3",), "--genes": ("20",)},
    "demo": {"--seed": ("nan", "-1", "x", "")},
    "genes": {"--server": ("http://127.0.0.1:9", "", "x", "ftp://x", "file:///etc/passwd"),
    "--attempts": ("1",)},
    "recount3": {"--mirror": ("http://127.0.0.1:9", "", "x", "file:///etc/passwd"), "--attempts": ("1",)},
    **{
        f"plot {kind}": {"--sample": ("C00001", "C00002", "x")}
        for kind in ("volcano", "ma", "observed-expected")
    },
    "plot embedding": {"--x": ("log2FoldChange", "padj", "gene"), "--y": ("padj", "pvalue", "sample")},
    "models fetch": {"--attempts": ("1",), "--timeout": ("1",)},
}  # fmt: skip


# The endings that a command writes; what is not here writes a table.
OUTPUTS = {
    "train": "out.dgd", "fine-tune": "out.dgd", "adapt": "out.dgd", "closest-normal": "out.h5ad",
    "impute": "out.h5ad", "recount3": "out.h5ad", "preprocess": "out.h5ad", "report": "out.html",
    "simulate": "out", "demo": "out", "convert": "out",
}  # fmt: skip


def drawn(rng: random.Random, name: str, command: Any, good: dict[str, tuple[str, ...]]) -> list[str]:
    """One line of a command: what it needs, most of it good, and up to four options of any value."""
    line, always = name.split(), ALWAYS.get(name, {})
    output = OUTPUTS.get(
        name, "out.png" if name.startswith("plot") else rng.choice(("out.csv", "out.parquet"))
    )
    known = {**good, "--output": (output,), **always}
    named = {max(parameter.opts, key=len): parameter for parameter in command.params}
    others = [option for option in named if option not in LEFT_OUT and not named[option].required]
    chosen = set(rng.sample(others, min(len(others), rng.choice((0, 1, 1, 2, 3, 4)))))
    for option, parameter in named.items():
        if option in always or option in chosen or (parameter.required and rng.random() < 0.98):
            is_good = rng.random() < (0.95 if parameter.required else 0.6)
            for _ in range(1 if parameter.nargs == 1 else rng.choice((1, 1, 2))):
                values = known[option] if option in known and is_good else _any(rng, parameter, option)
                line += _said(rng, parameter, option, always.get(option, values))
    if rng.random() < 0.03:
        line.insert(rng.randrange(len(line) + 1), rng.choice(TEXTS))
    return line


def _any(rng: random.Random, parameter: Any, option: str) -> tuple[str, ...]:
    if option in LONG:
        return SMALL
    if isinstance(parameter.default, int | float) and rng.random() < 0.9:
        return NUMBERS
    return rng.choice((NUMBERS, TEXTS, PATHS))


def _said(rng: random.Random, parameter: Any, option: str, values: tuple[str, ...]) -> list[str]:
    # The system takes neither in an argument: they end it, or cannot be encoded.
    value = rng.choice(values).replace("\x00", "")
    if not option.startswith("-"):
        return [value]
    if getattr(parameter, "is_flag", False):
        return [rng.choice([*parameter.opts, *parameter.secondary_opts])]
    return [option, value] if rng.random() < 0.8 else [f"{option}={value}"]


def prepared(folder: Path) -> Path:
    """A folder with a cohort, a model, and results of it."""
    folder.mkdir(parents=True)
    made = simulate_cohort(n_tissues=2, n_per_tissue=12, n_genes=40, n_changed=2, n_unchanged=2, seed=3)
    write_h5ad(made.normals, folder / "normals.h5ad")
    write_h5ad(made.cases, folder / "cases.h5ad")
    DGD.fit(made.normals, latent_dim=2, epochs=2).save(folder / "normals.dgd")
    model, cases = str(folder / "normals.dgd"), str(folder / "cases.h5ad")
    for command, output in (("closest-normal", "normal.h5ad"), ("de", "de.csv")):
        assert exit_code([command, model, cases, "-o", str(folder / output), "--quiet"])[0] == 0
    genes = made.cases.var_names
    (folder / "sets.gmt").write_text(
        "".join(f"set{i}\tx\t" + "\t".join(genes[i::4]) + "\n" for i in range(4))
    )
    names = made.cases.obs_names
    pd.DataFrame({"sample": names, "group": ["a", "b"] * (len(names) // 2)}).to_csv(
        folder / "groups.csv", index=False
    )
    return folder


def exit_code(line: list[str]) -> tuple[int, str]:
    """The code of a command line, run in this process, and what it said."""
    log = logging.getLogger("pydgd")
    before = log.handlers[:], log.level, log.propagate, signal.getsignal(signal.SIGTERM), dict(os.environ)
    said = io.StringIO()
    # What shall be fetched is not.
    os.environ.update(dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), OFFLINE))
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main(line)
    finally:
        log.handlers[:], log.level, log.propagate = before[:3]
        signal.signal(signal.SIGTERM, before[3])
        os.environ.clear()
        os.environ.update(before[4])
    return code, said.getvalue()


class CodeError(Exception):
    """A command line ended as none may: not with 0 or 2, or with a traceback."""


class Lines:
    """Command lines about one cohort; each runs in an empty folder of its own.

    Args:
        folder: Where all lies; it does not exist.

    Attributes:
        files: The cohort, a model, and results.
    """

    def __init__(self, folder: Path) -> None:
        self.files = prepared(folder / "good")
        self._good, self._known, self._scratch = usual(self.files), commands(), folder / "a" / "b" / "c"

    def drawn(self, rng: random.Random, name: str | None = None) -> list[str]:
        """A line of one command, or of any."""
        chosen = rng.choice(tuple(self._known)) if name is None else name
        return drawn(rng, chosen, self._known[chosen], self._good)

    def run(self, line: list[str]) -> None:
        """Run a line; CodeError if it ends as none may."""
        with _inside(self._scratch):
            code, said = exit_code(line)
        if code not in (0, 2) or "Traceback" in said:
            raise CodeError(f"{code} of {line}: {said[-400:]}")


def spoilt_lines(folder: Path) -> Callable[[random.Random], tuple[int, Callable[[], object]]]:
    """As the other targets: a line, which has no size, and what runs it."""
    lines = Lines(folder / "x")

    def spoil(rng: random.Random) -> tuple[int, Callable[[], object]]:
        line = lines.drawn(rng)
        return 0, lambda: lines.run(line)

    return spoil


@contextlib.contextmanager
def _inside(scratch: Path) -> Iterator[None]:
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    before = Path.cwd()
    os.chdir(scratch)
    try:
        yield
    finally:
        os.chdir(before)
