# SPDX-License-Identifier: BSD-3-Clause
"""A small simulated cohort with a model, and the command as a function."""

import logging
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pydgd import DGD, read_counts
from pydgd.cli import main
from pydgd.data import simulate_cohort
from pydgd.data.h5ad_writer import write_h5ad

SMALL = ["--latent-dim", "4", "--epochs", "5"]


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with normals.h5ad, cases.h5ad and normals.dgd; nobody writes into it."""
    folder = tmp_path_factory.mktemp("cohort")
    simulation = simulate_cohort(
        n_tissues=2, n_per_tissue=20, n_genes=150, n_changed=2, n_unchanged=2, seed=3
    )
    write_h5ad(simulation.normals, folder / "normals.h5ad")
    write_h5ad(simulation.cases, folder / "cases.h5ad")
    DGD.fit(simulation.normals, latent_dim=4, epochs=5).save(folder / "normals.dgd")
    return folder


@pytest.fixture(scope="session")
def healthy(cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half of the healthy samples, ten of each tissue, as a query."""
    path = tmp_path_factory.mktemp("healthy") / "healthy.h5ad"
    write_h5ad(read_counts(cohort / "normals.h5ad")[:20].copy(), path)
    return path


@pytest.fixture(scope="session")
def results(cohort: Path) -> Path:
    """The same folder, with what closest-normal and de wrote: normal.h5ad, de.parquet, de.csv."""
    for arguments in (
        ["closest-normal", "normals.dgd", "cases.h5ad", "-o", "normal.h5ad"],
        ["de", "normals.dgd", "cases.h5ad", "-o", "de.parquet"],
        ["de", "normals.dgd", "cases.h5ad", "-o", "de.csv"],
    ):
        command = [str(cohort / word) if "." in word else word for word in arguments]
        assert main([*command, "--quiet", "--threads", "1"]) == 0
    return cohort


@pytest.fixture
def pydgd(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Result]]:
    """Run `pydgd ARGUMENTS` in this process; the process is afterwards as before."""
    log = logging.getLogger("pydgd")
    before = log.handlers, log.level, log.propagate, signal.getsignal(signal.SIGTERM)
    # The command sets them for libraries that load later.
    for name in ("OMP_WAIT_POLICY", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1" if name != "OMP_WAIT_POLICY" else "PASSIVE")

    def run(*arguments: object) -> Result:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return Result(code, *capfd.readouterr())

    yield run
    log.handlers, log.level, log.propagate = before[:3]
    signal.signal(signal.SIGTERM, before[3])
