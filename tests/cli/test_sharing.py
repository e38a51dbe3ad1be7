# SPDX-License-Identifier: BSD-3-Clause
"""closest-normal and de on several processes: what one process writes, or nothing."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData, read_h5ad

from pydgd.cli.sharing import Shared, gathered, in_turn
from pydgd.data import count_rows
from pydgd.training.ranks import ALONE, Ranks

# A chunk holds 8 samples: of five chunks two processes have two, and one has one.
WORKER = """
import os, sys
from torch import distributed
from pydgd.cli.boundary import main
from pydgd.errors import CountsError
from pydgd.inference import chunks

chunks.MOST_SAMPLES = 8
find, n_done = chunks.find_and_decode, []

def fails(*args, **how):
    n_done.append(1)
    if len(n_done) == 2:
        raise CountsError("a sample that cannot be searched")
    return find(*args, **how)

if os.environ["RANK"] == os.environ.get("FAILS"):
    chunks.find_and_decode = fails
# Of several commands, with "then" between them, the first joins the processes, and the last leaves them:
# torchrun lets them meet once.
leave, codes, words = distributed.destroy_process_group, [], [*sys.argv[1:], "then"]
distributed.destroy_process_group = lambda: None
while words:
    end = words.index("then")
    if end + 1 == len(words):
        distributed.destroy_process_group = leave
    codes.append(main(words[:end]))
    words = words[end + 1 :]
if distributed.is_initialized():
    leave()
sys.exit(max(codes))
"""


Run = Callable[..., Any]


def run(*arguments: object, n_processes: int, folder: Path, fails: int | None = None) -> str:
    """Stderr of the command under torchrun."""
    script = folder / "worker.py"
    script.write_text(WORKER)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if fails is not None:
        environment["FAILS"] = str(fails)
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        f"--nproc-per-node={n_processes}",
    ]
    done = subprocess.run(
        [*torchrun, str(script), *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode == 0) == (fails is None), done.stderr
    return done.stderr


def same(first: AnnData, second: AnnData) -> bool:
    """Whether two results hold the same bits under the same names."""
    pd.testing.assert_frame_equal(first.obs, second.obs, check_exact=True)
    pd.testing.assert_frame_equal(first.var, second.var, check_exact=True)
    assert first.layers.keys() == second.layers.keys()
    pairs = [(first.layers[name], second.layers[name]) for name in first.layers]
    pairs += [(first.obsm[name], second.obsm[name]) for name in first.obsm]
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


def test_three_processes_write_what_one_does(pydgd: Run, cohort: Path, tmp_path: Path) -> None:
    """A table of the same bytes, an h5ad of the same content; the news is told once, of all samples."""
    given = [cohort / "normals.dgd", cohort / "normals.h5ad", "-o"]
    for path in ("one.csv", "one.h5ad"):
        command = "de" if path.endswith(".csv") else "closest-normal"
        assert pydgd(command, *given, tmp_path / path, "--threads", 1).code == 0
    both = ["de", *given, tmp_path / "three.csv", "then", "closest-normal", *given, tmp_path / "three.h5ad"]
    said = run(*both, n_processes=3, folder=tmp_path)
    assert (tmp_path / "three.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
    assert said.count("closest normals of 40 samples") == 2  # once by each command
    assert said.count("genes that differ at") == 1
    assert "closest normal, share of process 1 of 3: " in said
    assert same(read_h5ad(tmp_path / "three.h5ad"), read_h5ad(tmp_path / "one.h5ad"))


@pytest.mark.slow
def test_saved_normals_are_tested_by_more_processes_than_there_are_chunks(
    pydgd: Run, cohort: Path, results: Path, tmp_path: Path
) -> None:
    """Some have nothing to do; the layers are those of one process."""
    given = [cohort / "normals.dgd", cohort / "cases.h5ad", "--normal", results / "normal.h5ad", "-o"]
    assert pydgd("de", *given, tmp_path / "one.h5ad", "--threads", 1).code == 0
    run("de", *given, tmp_path / "two.h5ad", n_processes=2, folder=tmp_path)
    assert same(read_h5ad(tmp_path / "two.h5ad"), read_h5ad(tmp_path / "one.h5ad"))


@pytest.mark.slow
@pytest.mark.parametrize("fails", [0, 1])
def test_one_that_fails_makes_all_fail(cohort: Path, tmp_path: Path, fails: int) -> None:
    """The others say that they are not to blame, and nothing is left beside the output."""
    output = tmp_path / "out" / "de.csv"
    output.parent.mkdir()
    given = [cohort / "normals.dgd", cohort / "normals.h5ad", "-o", output]
    said = run("de", *given, n_processes=2, folder=tmp_path, fails=fails)
    assert "error: a sample that cannot be searched" in said
    assert "error: another process is gone" in said
    assert "unexpected" not in said
    assert list(output.parent.iterdir()) == []


def test_alone_there_is_nothing_to_share() -> None:
    """All chunks are this process's, in one piece, and results come as they are."""
    counts = count_rows(np.ones((3, 2)), sample_names=["A", "B", "C"], genes=["x", "y"])
    assert Shared.of(counts, Ranks(), n_genes=2).counts is counts
    assert gathered([1, 2], ALONE) == list(in_turn([1, 2], ALONE)) == [1, 2]
