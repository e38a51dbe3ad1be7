# SPDX-License-Identifier: BSD-3-Clause
"""A run that is cut short anywhere goes on from its kept state and ends with the same bits."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pydgd import DGD
from pydgd.config import training_config
from pydgd.data import count_rows, scaling_factors, simulate_cohort, typical_profile
from pydgd.errors import CheckpointError, OutputError
from pydgd.training import Checkpoints, EpochReport, TrainingResult, fit
from pydgd.training.keeper import Keeper
from pydgd.training.ranks import Ranks

OPTIONS = {"latent_dim": 3, "n_components": 2, "epochs": 3, "batch_size": 16, "validate_every": 1}


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    """60 samples of 3 tissues, 60 genes."""
    matrix = simulate_cohort(n_tissues=3, n_per_tissue=20, n_genes=60, seed=0).normals.X
    return np.asarray(matrix, dtype=np.float32)


@pytest.fixture(scope="module")
def whole(counts: np.ndarray) -> Callable[..., TrainingResult]:
    """A run that nothing disturbs, one of each kind."""
    done: dict[str, TrainingResult] = {}

    def trained(**options: object) -> TrainingResult:
        if str(options) not in done:
            done[str(options)] = run(counts, **options)
        return done[str(options)]

    return trained


def run(
    counts: np.ndarray, checkpoints: Checkpoints | None = None, *, progress=None, **options
) -> TrainingResult:
    """Train on fifty samples, watch six."""
    config = training_config(**{**OPTIONS, **options})
    profile = typical_profile(counts, rule=config.scaling)
    factors = scaling_factors(counts, rule=config.scaling, profile=profile)
    return fit(
        counts[:50],
        factors[:50],
        genes=[f"g{i}" for i in range(counts.shape[1])],
        profile=profile,
        config=config,
        held_out=(counts[50:56], factors[50:56]),
        progress=progress,
        checkpoints=checkpoints,
    )


class KilledError(Exception):
    """As if the process were gone."""


def killed_after(monkeypatch: pytest.MonkeyPatch, n_steps: int) -> None:
    """Kill the run at a step, before its state is kept."""
    keep = Keeper.keep

    def keep_or_die(self: Keeper, at) -> None:
        if at.n_steps > n_steps:
            raise KilledError
        keep(self, at)

    monkeypatch.setattr(Keeper, "keep", keep_or_die)


def assert_same(one: TrainingResult, other: TrainingResult) -> None:
    """To the bit, but for the time it took."""
    state = other.model.state_dict()
    assert [name for name, x in one.model.state_dict().items() if not torch.equal(x, state[name])] == []
    assert torch.equal(one.representations, other.representations)
    assert one.best_epoch == other.best_epoch
    assert one.history.drop(columns="seconds").equals(other.history.drop(columns="seconds"))


@pytest.mark.parametrize("n_steps", [1, 3, 4, 5, 8, 11, 12])
@pytest.mark.parametrize(
    "options",
    [{}, {"prior": "gradient"}, {"n_units_hidden_layers": (6,), "dropout": 0.3}],
    ids=["default", "gradient prior", "dropout"],
)
def test_killed_run_ends_with_the_same_bits(
    monkeypatch, tmp_path: Path, counts: np.ndarray, whole, n_steps: int, options: dict[str, object]
) -> None:
    """In the middle of an epoch, at its end, and after the last step."""
    with monkeypatch.context() as patch:
        killed_after(patch, n_steps)
        if n_steps < 12:
            with pytest.raises(KilledError):
                run(counts, Checkpoints(tmp_path / "state", every=0.0), **options)
        else:
            run(counts, Checkpoints(tmp_path / "state", every=0.0), **options)
    assert_same(
        run(counts, Checkpoints(tmp_path / "state", every=0.0, resume=True), **options), whole(**options)
    )


def test_many_samples_resume_too(monkeypatch, tmp_path: Path, counts: np.ndarray) -> None:
    """Whose representations are moved by the sparse optimiser."""
    monkeypatch.setattr("pydgd.training.optimisers.MOST_DENSE", 10)
    whole = run(counts)
    with monkeypatch.context() as patch:
        killed_after(patch, 6)
        with pytest.raises(KilledError):
            run(counts, Checkpoints(tmp_path, every=0.0))
    assert_same(run(counts, Checkpoints(tmp_path, every=0.0, resume=True)), whole)


def test_streamed_run_resumes_too(monkeypatch, tmp_path: Path) -> None:
    """In the middle of a buffer and at its end."""
    monkeypatch.setattr("pydgd.training.counts.BLOCK_ELEMENTS", 5 * 60)
    monkeypatch.setattr("pydgd.training.counts.BUFFER_ELEMENTS", 20 * 60)
    normals = count_rows(simulate_cohort(n_tissues=2, n_per_tissue=30, n_genes=60, seed=0).normals)
    options = {"latent_dim": 2, "epochs": 2, "batch_size": 16, "min_detected": 0.0}
    whole = DGD.fit(normals, **options)
    for n_steps in (1, 4, 7):
        folder = tmp_path / str(n_steps)
        with monkeypatch.context() as patch:
            killed_after(patch, n_steps)
            with pytest.raises(KilledError):
                DGD.fit(normals, checkpoints=Checkpoints(folder, every=0.0), **options)
        resumed = DGD.fit(normals, checkpoints=Checkpoints(folder, every=0.0, resume=True), **options)
        assert resumed.provenance["sha256"] == whole.provenance["sha256"]


def test_nothing_to_resume_begins_anew(tmp_path: Path, counts: np.ndarray, whole) -> None:
    """A run that was killed before its first state was kept."""
    assert_same(run(counts, Checkpoints(tmp_path / "new", resume=True)), whole())


def test_a_kept_state_is_not_overwritten_unasked(tmp_path: Path, counts: np.ndarray) -> None:
    """It may be worth hours."""
    run(counts, Checkpoints(tmp_path, every=0.0))
    with pytest.raises(CheckpointError, match=r"interrupted \(step 12\); resume it \(resume=True"):
        run(counts, Checkpoints(tmp_path, every=0.0))


@pytest.mark.parametrize(
    ("change", "named"),
    [({"seed": 1}, "options"), ({"learning_rate": 0.01}, "options"), ({}, "counts")],
)
def test_another_run_is_not_resumed(
    tmp_path: Path, counts: np.ndarray, change: dict[str, object], named: str
) -> None:
    """What differs is named."""
    run(counts, Checkpoints(tmp_path, every=0.0))
    others = counts if change else counts + 1
    with pytest.raises(CheckpointError, match=f"another training: {named} differ"):
        run(others, Checkpoints(tmp_path, every=0.0, resume=True), **change)


def test_genes_that_changed_places_are_another_run(tmp_path: Path, counts: np.ndarray) -> None:
    """Though every sample has as many reads as before."""
    run(counts, Checkpoints(tmp_path, every=0.0))
    with pytest.raises(CheckpointError, match="another training: counts differ"):
        run(counts[:, ::-1].copy(), Checkpoints(tmp_path, every=0.0, resume=True))


def test_a_streamed_run_is_not_resumed_in_memory(tmp_path: Path) -> None:
    """Its batches come in another order; which it is may hang on the memory that happened to be free."""
    normals = simulate_cohort(n_tissues=2, n_per_tissue=30, n_genes=60, seed=0).normals
    options = {"latent_dim": 2, "epochs": 2}
    DGD.fit(count_rows(normals), checkpoints=Checkpoints(tmp_path, every=0.0), **options)
    with pytest.raises(CheckpointError, match="whether counts are streamed"):
        DGD.fit(normals, checkpoints=Checkpoints(tmp_path, every=0.0, resume=True), **options)


def test_two_trainings_do_not_share_a_folder(tmp_path: Path, counts: np.ndarray) -> None:
    """The second would delete what the first has kept."""
    refused: list[str] = []

    def second(_report: EpochReport) -> None:
        with pytest.raises(CheckpointError) as error:
            run(counts, Checkpoints(tmp_path / "state"))
        refused.append(str(error.value))

    run(counts, Checkpoints(tmp_path / "state"), progress=second)
    assert len(refused) == OPTIONS["epochs"]
    assert "is in use by another training" in refused[0]
    run(counts, Checkpoints(tmp_path / "state"))


def test_failed_run_without_a_state_leaves_no_folder(tmp_path: Path, counts: np.ndarray) -> None:
    """There is nothing to resume."""

    def stop(_report: EpochReport) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        run(counts, Checkpoints(tmp_path / "state"), progress=stop)
    assert not (tmp_path / "state").exists()


def test_damaged_state_is_refused(tmp_path: Path, counts: np.ndarray) -> None:
    """A bit that flipped, a file that is cut short, gone, or nonsense."""
    run(counts, Checkpoints(tmp_path, every=0.0))
    (state,) = tmp_path.glob("step-*")
    content = state.read_bytes()
    flipped = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
    for damaged in (flipped, content[:-1], content[:7], b""):
        state.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged"):
            run(counts, Checkpoints(tmp_path, every=0.0, resume=True))
    state.unlink()
    with pytest.raises(CheckpointError, match="missing or damaged"):
        run(counts, Checkpoints(tmp_path, every=0.0, resume=True))
    for nonsense in ("{", "[]", "{}"):
        (tmp_path / "latest.json").write_text(nonsense)
        with pytest.raises(CheckpointError, match="delete"):
            run(counts, Checkpoints(tmp_path, every=0.0, resume=True))


def test_lost_folder_stops_the_run(monkeypatch, tmp_path: Path, counts: np.ndarray) -> None:
    """It is not made again: whoever took it away may have had reasons."""
    keep = Keeper.keep

    def lose(self: Keeper, at) -> None:
        if at.n_steps == 5:
            self.options.folder.rename(tmp_path / "moved")
        keep(self, at)

    monkeypatch.setattr(Keeper, "keep", lose)
    with pytest.raises(OutputError, match="does not exist"):
        run(counts, Checkpoints(tmp_path / "state", every=0.0))
    assert json.loads((tmp_path / "moved" / "latest.json").read_text())["step"] == 4


def test_full_disk_leaves_the_last_good_state(monkeypatch, tmp_path: Path, counts: np.ndarray, whole) -> None:
    """The state that did not fit goes, the one before it is resumed."""
    write = Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        if "step-000000007" in self.name:
            write(self, content[:100])
            raise OSError(28, "No space left on device")
        return write(self, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OutputError, match="disk is full"):
            run(counts, Checkpoints(tmp_path, every=0.0))
    assert len(list(tmp_path.iterdir())) == 2
    assert_same(run(counts, Checkpoints(tmp_path, every=0.0, resume=True)), whole())


def test_what_a_kill_left_behind_goes(tmp_path: Path, counts: np.ndarray) -> None:
    """Half a file under a temporary name, and a state that was never named the latest."""
    run(counts, Checkpoints(tmp_path, every=0.0))
    (tmp_path / ".step-000000012.rank-0.abc.tmp.safetensors").write_bytes(b"half")
    (tmp_path / "step-000000009.rank-0.safetensors").write_bytes(b"older")
    run(counts, Checkpoints(tmp_path, every=0.0, resume=True))
    assert not list(tmp_path.glob(".*"))


def test_states_are_kept_when_they_are_due(tmp_path: Path, counts: np.ndarray) -> None:
    """None in a run of a second, with five minutes between two; nor is an empty folder left."""
    run(counts, Checkpoints(tmp_path / "state", every=300.0))
    assert list(tmp_path.iterdir()) == []


def test_several_processes_ask_every_sixteenth_step(tmp_path: Path) -> None:
    asked = []

    class Two(Ranks):
        def joined(self, rows: torch.Tensor) -> torch.Tensor:
            return rows

        def agreed(self, *, wish: bool) -> bool:
            asked.append(wish)
            return False

    keeper = Keeper(Checkpoints(tmp_path), {}, ranks=Two(0, 2))
    for step in range(1, 33):
        keeper.keep_if_due(SimpleNamespace(n_steps=step))
    assert asked == [False, False]
