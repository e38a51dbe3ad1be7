# SPDX-License-Identifier: BSD-3-Clause
"""Hostile inputs of every reader, the model file and options: read or refused, soon, in little memory.

    python benchmarks/trust.py [--quick] [--inputs 210000] [--part PART]

Each target of `tests/trust/targets.py` is spoilt in a process of its own, so that a crash of a library is
seen and counted; an input depends on its target and number alone, so that what is found can be found again.
A fault is an exception other than PyDGD's or the system's, more than 5 s of processor time, or more memory
than four times the input and 500 MB. A run of fewer inputs than asked says so and misses its must.
The whole run also tells which share of the mutants of `core` and `stats` their tests notice, how much of
`src` the default tests pass, and whether quickstart and site work on a fresh clone. It takes more than an
hour; where one part is run, the others stay as recorded.
"""

import argparse
import logging
import multiprocessing
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import _coverage
import _first_steps
import _mutants
from _figures import Figures

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
N_INPUTS, N_INPUTS_QUICK = 210_000, 4_000
MUST_INPUTS = 200_000
N_MUTANTS = 320
# A process that asks for more is refused by the system rather than the machine stopped.
MOST_ADDRESSES = 16 * 2**30
# Of the clock, for one input in a library that no signal interrupts.
PATIENCE = 60.0


def work(name, first, last, folder, connection):
    """Spoil one target; after each input tell its number and what went wrong."""
    from tests.trust.targets import spoilt
    from tests.trust.watch import fault

    logging.disable()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_ADDRESSES, MOST_ADDRESSES))
    for seed, size, read in spoilt(name, Path(folder) / f"{first}", range(first, last)):
        connection.send((seed, fault(read, size)))
    connection.close()


def run_target(name, n_inputs):
    """Number of inputs tried, and faults by input; goes on after a crash or a hang of the process."""
    faults, first = {}, 0
    while first < n_inputs:
        with tempfile.TemporaryDirectory(dir=_fast_folder()) as folder:
            ours, theirs = multiprocessing.Pipe(duplex=False)
            worker = multiprocessing.get_context("fork").Process(
                target=work, args=(name, first, n_inputs, folder, theirs)
            )
            worker.start()
            theirs.close()
            started = first
            try:
                while ours.poll(PATIENCE):
                    seed, said = ours.recv()
                    first = seed + 1
                    if said is not None:
                        faults[seed] = said
                faults[first] = f"hang: {PATIENCE:.0f} s without an answer"
                worker.kill()
                first += 1
            except EOFError:
                worker.join()
                if worker.exitcode:
                    faults[first] = f"crash: exit code {worker.exitcode}"
                    first += 1
            worker.join()
            if first == started and first < n_inputs:
                raise RuntimeError(f"{name}: nothing was tried")
    return n_inputs, faults


def _fast_folder():
    memory = Path("/dev/shm")
    return memory if memory.is_dir() else None


def fuzzing(figures, n_inputs, *, quick):
    from tests.trust.targets import TARGETS

    weights = sum(target.weight for target in TARGETS.values())
    n_all, all_faults, began = 0, Counter(), time.perf_counter()
    for name, target in TARGETS.items():
        start = time.perf_counter()
        n_tried, faults = run_target(name, -(-n_inputs * target.weight // weights))
        n_all += n_tried
        all_faults.update(said.partition(":")[0].partition(" ")[0] for said in faults.values())
        print(time.strftime("%H:%M:%S"), name, len(faults), file=sys.stderr, flush=True)
        figures.add(f"{name}: inputs/s", n_tried / (time.perf_counter() - start))
        for seed, said in sorted(faults.items())[:3]:
            print(f"{name} {seed}: {said}", file=sys.stderr, flush=True)
    full = {} if quick else {"must": f">= {MUST_INPUTS:,}", "ok": n_all >= MUST_INPUTS}
    figures.add("inputs", n_all, **full)
    figures.add("inputs/s, all targets", n_all / (time.perf_counter() - began))
    slow, fat = all_faults.pop("hang", 0), all_faults.pop("memory", 0)
    figures.add("tracebacks and crashes", all_faults.total(), "0", all_faults.total() == 0)
    figures.add("hangs beyond 5 s", slow, "0", slow == 0)
    figures.add("beyond 4 times the input + 500 MB of memory", fat, "0", fat == 0)


def huge_tables(figures):
    """Tables of text that are far beyond any table of counts, made on the spot; each in a fresh process."""
    from tests.trust.huge_tables import HUGE

    for name, (write, n) in HUGE.items():
        with tempfile.TemporaryDirectory(dir=_fast_folder()) as folder:
            path = Path(folder) / "x.csv"
            write(path, n)
            ours, theirs = multiprocessing.Pipe(duplex=False)
            worker = multiprocessing.get_context("fork").Process(target=_one, args=(path, theirs))
            worker.start()
            theirs.close()
            try:
                said = ours.recv()
            except EOFError:
                said = "crash"
            worker.join()
            size = f"{path.stat().st_size / 2**20:,.0f} MiB"
            figures.add(
                f"{name}, {size}: within 5 s, 4 times it + 500 MB", said or "yes", "yes", said is None
            )


def _one(path, connection):
    from tests.trust.watch import fault

    from pydgd import read_counts

    connection.send(fault(lambda: read_counts(path), path.stat().st_size))
    connection.close()


def truncation(figures):
    """A small model cut at each byte."""
    from tests.checkpoints.conftest import make_record

    from pydgd.checkpoints import load_model, save_model
    from pydgd.errors import ModelFileError

    with tempfile.TemporaryDirectory(dir=_fast_folder()) as folder:
        path = Path(folder) / "model.dgd"
        save_model(make_record(), path)
        content, n_refused = path.read_bytes(), 0
        for length in range(len(content)):
            path.write_bytes(content[:length])
            try:
                load_model(path)
            except ModelFileError:
                n_refused += 1
    figures.add(
        "model file cut at each byte: refused",
        f"{n_refused:,} of {len(content):,}",
        "all",
        n_refused == len(content),
    )


def attacks(figures, n_inputs):
    """All that is spoilt."""
    truncation(figures)
    huge_tables(figures)
    fuzzing(figures, n_inputs, quick=False)


def in_folder(add, *arguments):
    """A part that needs room for files; the newcomer's clone, more than memory disks have."""

    def run(figures, _n_inputs):
        with tempfile.TemporaryDirectory() as folder:
            add(figures, *arguments, Path(folder))

    return run


PARTS = {
    "attacks": attacks,
    "mutants": in_folder(_mutants.add_figures, N_MUTANTS),
    "coverage": in_folder(_coverage.add_figures),
    "first steps": in_folder(_first_steps.add_figures),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--quick", action="store_true")
    which.add_argument("--part", choices=PARTS, help="measure this part again")
    parser.add_argument("--inputs", type=int, help="how many inputs in all")
    arguments = parser.parse_args()
    figures = Figures("trust", arguments.quick)
    if arguments.quick:
        truncation(figures)
        fuzzing(figures, arguments.inputs or N_INPUTS_QUICK, quick=True)
        return figures.finish()
    if arguments.part:
        figures.keep_other_parts(arguments.part)
    for part in [arguments.part] if arguments.part else PARTS:
        figures.part = part
        PARTS[part](figures, arguments.inputs or N_INPUTS)
    return figures.finish()


if __name__ == "__main__":
    raise SystemExit(main())
