# SPDX-License-Identifier: BSD-3-Clause
"""Training beside the processor and in lower precision: the same model, one as good, or a clear refusal."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pydgd import DGD
from pydgd.config import training_config
from pydgd.core.decoder import Decoder
from pydgd.core.outputbase import projection
from pydgd.data import scaling_factors, simulate_cohort, typical_profile
from pydgd.errors import CheckpointError, ConfigError
from pydgd.training import Checkpoints, CountsInMemory, Hardware, TrainingResult, fit, hardware, optimisers
from pydgd.training.counts import Batch

from .second_device import SECOND, SecondDevice
from .test_fit import bits

PROCESSOR = torch.device("cpu")
KINDS: list[dict[str, Any]] = [
    {},
    {"n_units_hidden_layers": (8,)},
    {"output_module": "nb_full_dispersion", "prior": "gradient"},
    {"output_module": "poisson", "covariance_type": "full", "n_components": 10},
]


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    """40 samples of 2 tissues, 60 genes."""
    matrix = simulate_cohort(n_tissues=2, n_per_tissue=20, n_genes=60, seed=0).normals.X
    return np.asarray(matrix, dtype=np.float32)


@pytest.fixture(scope="module")
def here(counts: np.ndarray) -> Callable[..., TrainingResult]:
    """Trained on the processor, once for each kind."""
    done: dict[str, TrainingResult] = {}

    def found(**options: Any) -> TrainingResult:
        if str(options) not in done:
            done[str(options)] = trained(counts, **options)
        return done[str(options)]

    return found


def trained(counts: np.ndarray, where: Hardware | None = None, **options: Any) -> TrainingResult:
    """A small model, four samples watch."""
    some = {"latent_dim": 4, "epochs": 4, "n_components": 2, "validate_every": 2}
    config = training_config(**{**some, **options})
    profile = typical_profile(counts, rule=config.scaling)
    factors = scaling_factors(counts, rule=config.scaling, profile=profile)
    return fit(
        counts[:-4],
        factors[:-4],
        genes=[f"g{i}" for i in range(counts.shape[1])],
        profile=profile,
        config=config,
        held_out=(counts[-4:], factors[-4:]),
        hardware=where,
    )


class _SameThread:
    """Does at once what a thread would do, because a mode of torch holds in one thread only."""

    def __init__(self, _n_threads: int) -> None: ...

    def __enter__(self) -> "_SameThread":
        return self

    def __exit__(self, *_: object) -> None: ...

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """The result of a call."""
        done: Future[Any] = Future()
        done.set_result(function(*args))
        return done


@pytest.fixture
def second_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a made-up device needs to be taken for one."""
    monkeypatch.setattr(hardware, "ThreadPoolExecutor", _SameThread)
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda _: False)
    # Torch has no fused kernel for it, and that of the processor rounds otherwise.
    monkeypatch.setattr(optimisers, "FUSED_ON", frozenset())


@pytest.mark.usefixtures("second_device")
@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("exact", [SECOND, PROCESSOR], ids=["of doubles", "without doubles"])
def test_a_run_on_a_second_device_leaves_nothing_behind(
    counts: np.ndarray, here, exact: torch.device, options: dict[str, Any]
) -> None:
    """Steps and looks find all they need on the device, and the model is the processor's to the bit.

    But for one that predicts r, where two gradients are added before they leave the device.
    """
    with SecondDevice(single=exact == PROCESSOR):
        found = trained(counts, Hardware(SECOND, exact), epochs=2, **options)
    expected = here(epochs=2, **options)
    if exact == SECOND or "nb_full_dispersion" not in options.values():
        assert bits(found) == bits(expected)
    assert found.history.validation_nll.iloc[-1] == pytest.approx(expected.history.validation_nll.iloc[-1])


@pytest.mark.usefixtures("second_device")
def test_the_second_device_would_notice(counts: np.ndarray) -> None:
    """A tensor that is left on the processor, and a double on a device without them, end a run."""
    with SecondDevice(), pytest.raises(RuntimeError, match="two devices"):
        torch.ones(2, device=SECOND) + torch.ones(2)
    with SecondDevice(single=True), pytest.raises(TypeError, match="no float64"):
        trained(counts, Hardware(SECOND, SECOND))


@pytest.mark.usefixtures("second_device")
def test_batches_come_in_order_one_ahead() -> None:
    """While one is trained on, the next is under way, and no more."""
    begun = []

    def batches() -> Iterator[Batch]:
        source = CountsInMemory(torch.arange(20.0).reshape(10, 2), torch.ones(10))
        for batch in source.batches(torch.Generator(), batch_size=3):
            begun.append(batch)
            yield batch

    with SecondDevice():
        for n, batch in enumerate(Hardware(SECOND, SECOND).sent(batches())):
            assert len(begun) == min(n + 2, 4)
            assert batch.counts.device == SECOND
            assert torch.equal(batch.counts.cpu(), begun[n].counts)
            assert batch.n_samples == begun[n].n_samples
    assert n == 3


@pytest.mark.parametrize("options", KINDS[1:3], ids=str)
def test_bf16_fits_as_well(counts: np.ndarray, options: dict[str, Any]) -> None:
    """Held-out likelihood within 1 %; parameters stay float32, representations and mixture what they are."""
    full, half = (trained(counts, Hardware(precision=p), epochs=10, **options) for p in ("32", "bf16"))
    last = [result.history.validation_nll.iloc[-1] for result in (full, half)]
    assert last[0] != last[1]
    assert last[1] == pytest.approx(last[0], rel=0.01)
    dtypes = [[x.dtype for x in result.model.state_dict().values()] for result in (full, half)]
    assert dtypes[0] == dtypes[1]
    assert torch.bfloat16 not in dtypes[1]


def test_bf16_rounds_products_and_nothing_else() -> None:
    """Means and ln r reach the likelihood in float32, with the bias of the head as it is."""
    decoder = Decoder(2, [3], ["elu"], "nb_full_dispersion", {"output_dim": 5})
    with torch.no_grad():
        decoder.output_module.layer_means.bias.fill_(-8.01)
    outputs = Hardware(precision="bf16").decode(decoder, torch.zeros(4, 2))
    assert [x.dtype for x in outputs] == [torch.float32, torch.float32]
    layer = decoder.output_module.layer_means
    with torch.autocast("cpu", dtype=torch.bfloat16):
        bias_alone = projection(layer, torch.zeros(1, 3))
    assert torch.equal(bias_alone[0], layer.bias)


@pytest.mark.parametrize(
    ("device", "precision", "words"),
    [
        ("gpu", "32", "device must be one of auto, cpu, cuda, mps, got 'gpu'"),
        ("cpu", "16", "precision must be one of 32, tf32, bf16, got '16'"),
        ("cpu", "tf32", "on device cpu take 32 or bf16"),
        ("cuda", "32", "finds no CUDA GPU here; take device cpu"),
        ("mps", "32", "no Apple GPU here"),
    ],
)
def test_what_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, device: str, precision: str, words: str
) -> None:
    """In one sentence, before the counts are looked at."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=words):
        DGD.fit(np.zeros((0, 0)), device=device, precision=precision)


@pytest.mark.parametrize(
    ("rank", "precision", "words"),
    [(2, "32", "machine has 2; start as many processes"), (1, "bf16", "capability 8.0 .* this is Old GPU")],
)
def test_a_gpu_that_is_not_enough_is_refused(
    monkeypatch: pytest.MonkeyPatch, rank: int, precision: str, words: str
) -> None:
    """More processes than GPUs, or a precision that the GPU does not compute in."""
    monkeypatch.setenv("LOCAL_RANK", str(rank))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Old GPU")
    with pytest.raises(ConfigError, match=words):
        Hardware.chosen("cuda", precision)


def test_an_apple_gpu_multiplies_and_the_processor_does_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no float64, which likelihood and mixture need."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert Hardware.chosen("mps") == Hardware(torch.device("mps"), PROCESSOR)
    with pytest.raises(ConfigError, match="computes in precision 32"):
        Hardware.chosen("mps", "bf16")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="several processes train together on cpu or cuda only"):
        Hardware.chosen("mps")


def test_a_model_says_what_it_was_trained_with(tmp_path: Path) -> None:
    """Unless that was the processor in full precision; a state of another precision is not resumed."""
    normals = simulate_cohort(n_tissues=2, n_per_tissue=20, n_genes=60, seed=0).normals
    options: dict[str, Any] = {"latent_dim": 2, "epochs": 2}
    model = DGD.fit(normals, device="cpu", precision="bf16", **options)
    assert model.provenance["trained_with"] == {"device": "cpu", "precision": "bf16"}
    usual = DGD.fit(normals, device="cpu", **options)
    assert "trained_with" not in usual.provenance

    def killed(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        DGD.fit(normals, device="cpu", checkpoints=Checkpoints(tmp_path, 0.0), progress=killed, **options)
    again = Checkpoints(tmp_path, 0.0, resume=True)
    with pytest.raises(CheckpointError, match="precision differ"):
        DGD.fit(normals, device="cpu", precision="bf16", checkpoints=again, **options)
    resumed = DGD.fit(normals, device="cpu", checkpoints=again, **options)
    assert resumed.provenance["sha256"] == usual.provenance["sha256"]


gpu = pytest.mark.gpu


@gpu
@pytest.mark.parametrize("options", [*KINDS, {"n_units_hidden_layers": (8,), "dropout": 0.1}], ids=str)
def test_a_cuda_gpu_trains_the_same_model(counts: np.ndarray, options: dict[str, Any]) -> None:
    """The likelihood of held-out samples is that of the processor's model, but for rounding (and dropout)."""
    here, there = (trained(counts, Hardware.chosen(device), **options) for device in ("cpu", "cuda"))
    rel = 1e-4 if "dropout" not in options else 1e-2
    assert there.history.train_nll.iloc[-1] == pytest.approx(here.history.train_nll.iloc[-1], rel=rel)
    assert there.history.validation_nll.iloc[-1] == pytest.approx(
        here.history.validation_nll.iloc[-1], rel=rel
    )
    assert {x.device for x in [*there.model.state_dict().values(), there.representations]} == {PROCESSOR}


@gpu
@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_lower_precision_on_a_gpu_fits_as_well(counts: np.ndarray, precision: str) -> None:
    """Held-out likelihood within 1 % of float32; torch's own setting is left as it was."""
    before = torch.get_float32_matmul_precision()
    full, low = (trained(counts, Hardware.chosen("cuda", p), epochs=20) for p in ("32", precision))
    assert torch.get_float32_matmul_precision() == before
    assert low.history.validation_nll.iloc[-1] == pytest.approx(
        full.history.validation_nll.iloc[-1], rel=0.01
    )


@gpu
def test_many_samples_train_on_a_gpu(counts: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sparse gradients of the representations, too."""
    monkeypatch.setattr("pydgd.training.optimisers.MOST_DENSE", 10)
    here, there = (trained(counts, Hardware.chosen(device)) for device in ("cpu", "cuda"))
    assert there.history.train_nll.iloc[-1] == pytest.approx(here.history.train_nll.iloc[-1], rel=1e-4)


@gpu
def test_a_state_kept_on_a_gpu_is_resumed(tmp_path: Path) -> None:
    """There, and on the processor."""
    normals = simulate_cohort(n_tissues=2, n_per_tissue=20, n_genes=60, seed=0).normals
    options: dict[str, Any] = {"latent_dim": 2, "epochs": 4}
    whole = DGD.fit(normals, device="cuda", **options)
    for device in ("cuda", "cpu"):

        def killed(report: Any) -> None:
            if report.epoch == 2:
                raise KeyboardInterrupt

        folder = tmp_path / device
        with pytest.raises(KeyboardInterrupt):
            DGD.fit(normals, device="cuda", checkpoints=Checkpoints(folder, 0.0), progress=killed, **options)
        resumed = DGD.fit(
            normals, device=device, checkpoints=Checkpoints(folder, 0.0, resume=True), **options
        )
        assert resumed.history.train_nll.iloc[-1] == pytest.approx(whole.history.train_nll.iloc[-1], rel=1e-4)
