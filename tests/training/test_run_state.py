# SPDX-License-Identifier: BSD-3-Clause
"""The state of a run as bytes: what is put back is what was there, and damage never passes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from pydgd.config import training_config
from pydgd.core.latent import RepresentationLayer
from pydgd.core.model import JointModel
from pydgd.errors import CheckpointError
from pydgd.training.counts import CountsInMemory
from pydgd.training.engine import Run
from pydgd.training.fit import build_decoder
from pydgd.training.hardware import Hardware
from pydgd.training.priors import start_prior
from pydgd.training.ranks import ALONE
from pydgd.training.run_state import put_into, state_of


def run(*, n_steps: int, seed: int = 0, n_genes: int = 7) -> Run:
    """Twelve samples, three steps an epoch."""
    config = training_config(latent_dim=2, n_components=2, epochs=2, batch_size=4, covariance_type="tied")
    generator = torch.Generator().manual_seed(seed)
    x = torch.poisson(torch.full((12, n_genes), 9.0), generator=generator)
    z = torch.randn(12, 2, generator=generator)
    prior = start_prior(config, z, torch.ones(2), n_components=2, generator=generator)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        decoder = build_decoder(config, n_genes=n_genes)
    model = JointModel([f"g{i}" for i in range(n_genes)], decoder, prior, config.scaling, x.mean(dim=0))
    counts = CountsInMemory(x, x.mean(dim=1))
    made = Run(model, counts, RepresentationLayer.from_values(z), config, generator, ALONE, Hardware())
    steps = made.steps()
    for _ in range(n_steps):
        next(steps)
    return made


def test_another_run_is_put_into_the_state(tmp_path: Path) -> None:
    """With all that its next step depends on: the same bytes come out of it."""
    content = state_of(run(n_steps=2))
    (tmp_path / "state").write_bytes(content)
    other = run(n_steps=1, seed=1)
    put_into(other, tmp_path / "state")
    assert (other.n_steps, other.batch, other.epoch) == (2, 2, 0)
    parts, again = load(content), load(state_of(other))
    assert parts.keys() == again.keys()
    assert all(np.array_equal(parts[name], again[name]) for name in parts)
    assert any(name.startswith("optimiser.0.") for name in parts)


@pytest.mark.parametrize("what", ["a number", "a byte", "the end", "all"])
def test_damage_is_told_with_the_repair(tmp_path: Path, what: str) -> None:
    """A number that changed keeps the file readable, but not its checksum."""
    content, path = state_of(run(n_steps=1)), tmp_path / "state"
    if what == "a number":
        parts = load(content)
        path.write_bytes(save({**parts, "z": parts["z"] + 1}))
    elif what == "a byte":
        path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    elif what == "the end":
        path.write_bytes(content[:-1])
    with pytest.raises(CheckpointError, match=f"damaged.*delete {tmp_path}"):
        put_into(run(n_steps=0), path)


def test_a_state_of_another_shape_is_refused(tmp_path: Path) -> None:
    """What fits its checksum, but not the run."""
    (tmp_path / "state").write_bytes(state_of(run(n_steps=1, n_genes=8)))
    with pytest.raises(CheckpointError, match=rf"(?s)is damaged .*delete {tmp_path}"):
        put_into(run(n_steps=0), tmp_path / "state")
