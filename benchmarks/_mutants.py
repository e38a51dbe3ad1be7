# SPDX-License-Identifier: BSD-3-Clause
"""Mutants of `core` and `stats`: small changes of the code that the mirrored test files should notice.

Cosmic Ray, in an environment of its own, makes them. Places in the code are drawn first and one change of
each after, so that an operator with many variants counts once. Each mutant is tested in a forked process that
has the libraries loaded already, for 10 s of the processor.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "mutation-venv"
PACKAGE = "cosmic-ray==8.7.0"
ROOMS = ("core", "stats")
MOST_SECONDS = 10
SEED = 0

# Its tests compile kernels, for a minute; they run as slow tests.
LEFT_OUT = ("core/compiled.py",)

_MAKE = """
import json, random, sys
from pathlib import Path
from cosmic_ray.ast import Visitor, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

# These two need arguments, and the names that they put in are seldom defined.
names = [name for name in operator_names() if "Variable" not in name]
operators = {name: get_operator(name)() for name in names if name != "core/ExceptionReplacer"}
root, n, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
rooms, left_out = json.loads(sys.argv[4])

class Places(Visitor):
    def __init__(self):
        self.counts, self.found = dict.fromkeys(operators, 0), {}
    def visit(self, node):
        for name, operator in operators.items():
            for _ in operator.mutation_positions(node):
                self.found.setdefault(node.start_pos, []).append((name, self.counts[name]))
                self.counts[name] += 1
        return node

places = []
for path in sorted(path for room in rooms for path in (root / room).rglob("*.py")):
    if path.name != "__init__.py" and str(path.relative_to(root)) not in left_out:
        seen = Places()
        seen.walk(get_ast(path.read_text()))
        places += [(str(path.relative_to(root)), start, found) for start, found in sorted(seen.found.items())]
rng = random.Random(seed)
mutants = []
for path, start, found in rng.sample(places, n):
    name, occurrence = rng.choice(found)
    code = mutate_code((root / path).read_text(), operators[name], occurrence)
    mutants.append({"path": path, "line": start[0], "what": name.removeprefix("core/"), "code": code})
print(json.dumps({"places": len(places), "mutants": mutants}))
"""


def made(source: Path, n: int) -> dict:
    """So many mutants of the package in a folder, and the number of places they were drawn from."""
    python = FOLDER / "bin" / "python"
    if not (FOLDER / "done").exists():
        venv.create(FOLDER, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", PACKAGE], check=True)
        (FOLDER / "done").touch()
    command = [str(python), "-c", _MAKE, str(source), str(n), str(SEED), json.dumps([ROOMS, LEFT_OUT])]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def mirrored(path: str) -> Path:
    """The test file of a module."""
    own = ROOT / "tests" / path
    test = own.with_name(f"test_{own.name}")
    if not test.exists():
        raise FileNotFoundError(f"{path} has no mirrored test file {test.name}")
    return test


def tested(tree: Path, test: Path) -> tuple[int | None, float]:
    """Exit code of a test file on a tree, None where its time ran out, and seconds of the processor."""
    child = os.fork()
    if not child:
        _run_tests(tree, test)
    start = time.monotonic()
    while True:
        ended, status, used = os.wait4(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() - start > 12 * MOST_SECONDS:  # waits for something without end
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
    return (os.WEXITSTATUS(status) if os.WIFEXITED(status) else None), used.ru_utime + used.ru_stime


def _run_tests(tree: Path, test: Path) -> None:
    """Never returns."""
    import pytest

    os.setsid()
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silent, stream)
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + MOST_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
    sys.path.insert(0, str(tree))
    # The libraries were loaded before pytest could rewrite their assertions.
    loaded = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *loaded]
    os._exit(int(pytest.main([*options, str(test)])))


def load_libraries() -> None:
    """What every test file imports; nothing of PyDGD."""
    import anndata  # noqa: F401
    import beartype  # noqa: F401
    import hypothesis  # noqa: F401
    import jaxtyping  # noqa: F401
    import mpmath  # noqa: F401
    import pydantic  # noqa: F401
    import scipy.stats  # noqa: F401
    import sklearn.mixture  # noqa: F401
    import torch._dynamo

    torch.set_num_threads(1)


def add_figures(figures, n_mutants: int, folder: Path) -> None:
    """Draw mutants, test each, and report the share that was noticed.

    Args:
        figures: Where to.
        n_mutants: How many.
        folder: For a copy of the source; best in memory.
    """
    tree = folder / "src"
    shutil.copytree(ROOT / "src", tree, ignore=shutil.ignore_patterns("__pycache__"))
    drawn = made(tree / "pydgd", n_mutants)
    load_libraries()
    whole = {path: tested(tree, mirrored(path)) for path in sorted({one["path"] for one in drawn["mutants"]})}
    broken = [f"{path} ({code}, {used:.0f} s)" for path, (code, used) in whole.items() if code != 0]
    if broken:
        raise SystemExit(f"tests that fail or take more than {MOST_SECONDS} s as it is: {', '.join(broken)}")
    survivors, n_out_of_time = [], 0
    for i, mutant in enumerate(drawn["mutants"]):
        path = tree / "pydgd" / mutant["path"]
        original = path.read_text()
        path.write_text(mutant["code"])
        os.utime(path, (i, i))  # compiled code is told to be stale by the time alone
        code, _ = tested(tree, mirrored(mutant["path"]))
        path.write_text(original)
        os.utime(path, (1e9 + i, 1e9 + i))
        n_out_of_time += code is None
        if code == 0:
            survivors.append(mutant)
    share = 1 - len(survivors) / n_mutants
    what = f"mutants of core and stats, at {n_mutants} of {drawn['places']:,} places: share killed"
    figures.add(what, share, ">= 0.85", share >= 0.85)
    figures.add("  of these, out of time (10 s of the processor)", n_out_of_time)
    slowest = max(used for _, used in whole.values())
    figures.add("  slowest mirrored test file without a change, processor s", slowest, "<= 10", slowest <= 10)
    for mutant in survivors:
        print(f"survived: {mutant['path']}:{mutant['line']} {mutant['what']}")
