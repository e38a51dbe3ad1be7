# SPDX-License-Identifier: BSD-3-Clause
"""The model file: whole or refused, the same to the bit, and never code."""

import errno
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from pydgd.checkpoints import ModelRecord, load_model, save_model, with_content_hash
from pydgd.core.latent import COVARIANCE_TYPES, GRADIENT_COVARIANCE_TYPES
from pydgd.errors import OutputError
from pydgd.inference import find_representations

PRIOR_TYPES = [("em", name) for name in COVARIANCE_TYPES] + [
    ("gradient", name) for name in GRADIENT_COVARIANCE_TYPES
]


@pytest.fixture
def saved(record, tmp_path: Path) -> Path:
    """A model file."""
    path = tmp_path / "model.dgd"
    save_model(record(), path)
    return path


def parts(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a safetensors file."""
    with safe_open(path, framework="pt") as file:
        return file.metadata(), {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118


def bits(state: dict[str, Tensor]) -> dict[str, tuple]:
    """Dtype, shape and bytes."""
    return {name: (x.dtype, tuple(x.shape), x.detach().numpy().tobytes()) for name, x in state.items()}


def assert_same(one: ModelRecord, other: ModelRecord) -> None:
    """Every part, to the bit."""
    assert bits(one.model.state_dict()) == bits(other.model.state_dict())
    assert bits({"z": one.representations}) == bits({"z": other.representations})
    assert one.model.genes == other.model.genes
    assert one.model.scaling == other.model.scaling
    assert one.model.decoder.config() == other.model.decoder.config()
    assert (one.model.prior.name, one.model.prior.config()) == (
        other.model.prior.name,
        other.model.prior.config(),
    )
    for name in ("sample_names", "labels", "options", "provenance"):
        assert getattr(one, name) == getattr(other, name)


@pytest.mark.parametrize(("prior", "covariance_type"), PRIOR_TYPES)
@pytest.mark.parametrize("widths", [(), (7, 4)])
@pytest.mark.parametrize("name", ["nb_feature_dispersion", "nb_full_dispersion", "poisson"])
def test_round_trip_is_exact(
    record, tmp_path: Path, name: str, widths, prior: str, covariance_type: str
) -> None:
    """What is loaded is what was saved, bit for bit, and saves as the same content again."""
    before = record(name, prior, widths, covariance_type)
    saved = save_model(before, tmp_path / "model.dgd")
    after = load_model(tmp_path / "model.dgd")
    assert_same(before, after)
    assert not after.model.training
    assert after.content_hash == saved.content_hash
    assert (
        with_content_hash(before).content_hash == with_content_hash(after).content_hash == saved.content_hash
    )
    trained = {key for key, parameter in before.model.named_parameters() if parameter.requires_grad}
    assert {key for key, parameter in after.model.named_parameters() if parameter.requires_grad} == trained


def test_history_keeps_columns_types_and_gaps(record, tmp_path: Path) -> None:
    """What was not finite comes back as NaN; the order of the columns stays."""
    before = record()
    save_model(before, tmp_path / "model.dgd")
    expected = before.history.replace(np.inf, np.nan)
    pd.testing.assert_frame_equal(load_model(tmp_path / "model.dgd").history, expected)


@pytest.mark.parametrize("labels", [None, ("a", "b", "c", "d", "e"), tuple(np.array(list("abcde")))])
def test_labels_may_be_missing_or_numpys(record, tmp_path: Path, labels) -> None:
    """None stays None, text becomes plain text."""
    save_model(record(labels=labels), tmp_path / "model.dgd")
    assert load_model(tmp_path / "model.dgd").labels == labels


PROGRAMME = """
import sys, torch
from pydgd.checkpoints import load_model
from pydgd.inference import find_representations
model = load_model(sys.argv[1]).model
found = find_representations(model, torch.full((2, 6), 40.0), torch.tensor([240.0, 240.0]))
print(found.z.numpy().tobytes().hex())
"""


def test_fresh_process_finds_the_same(record, tmp_path: Path) -> None:
    """Representations found by a loaded model in another process are those of the model that was saved."""
    made = record(widths=(7,))
    save_model(made, tmp_path / "model.dgd")
    expected = find_representations(made.model, torch.full((2, 6), 40.0), torch.tensor([240.0, 240.0]))
    shell = subprocess.run(
        [sys.executable, "-c", PROGRAMME, tmp_path / "model.dgd"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())},
    )
    assert shell.stdout.strip() == expected.z.numpy().tobytes().hex()


def test_content_hash_changes_with_every_part(record) -> None:
    """Any tensor, any entry; it does not change by itself."""
    base = record()
    hashes = {with_content_hash(base).content_hash}
    assert with_content_hash(record()).content_hash in hashes
    variants = [
        replace(base, labels=None),
        replace(base, sample_names=tuple("abcde")),
        replace(base, options={}),
        replace(base, provenance={}),
        replace(base, history=base.history.iloc[:1]),
        replace(base, representations=base.representations + 1e-7),
        *(record(name) for name in ("nb_full_dispersion", "poisson")),
        record(covariance_type="diagonal"),
    ]
    for key, tensor in base.model.state_dict().items():
        changed = record()
        flat = changed.model.state_dict()[key].view(-1)
        flat[-1] = torch.nextafter(flat[-1], flat[-1] + 1)
        assert not torch.equal(changed.model.state_dict()[key], tensor)
        variants.append(changed)
    for variant in variants:
        found = with_content_hash(variant).content_hash
        assert found not in hashes
        hashes.add(found)


def test_content_hash_does_not_depend_on_timing(record, tmp_path: Path) -> None:
    """A slower run of the same training has the same hash, saved or not; its file keeps its own seconds."""
    fast = record()
    slow = replace(fast, history=fast.history.assign(seconds=[10.0, 20.0]))
    assert with_content_hash(slow).content_hash == with_content_hash(fast).content_hash
    saved = save_model(slow, tmp_path / "model.dgd")
    loaded = load_model(tmp_path / "model.dgd")
    assert saved.content_hash == loaded.content_hash == with_content_hash(fast).content_hash
    assert loaded.history["seconds"].tolist() == [10.0, 20.0]


def test_pickle_is_never_used(record, tmp_path: Path, monkeypatch) -> None:
    """Neither to save nor to load."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError

    for module, names in (
        (pickle, ("dump", "dumps", "load", "loads", "Unpickler")),
        (torch, ("save", "load")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, refuse)
    save_model(record(), tmp_path / "model.dgd")
    load_model(tmp_path / "model.dgd")


def test_loading_leaves_the_global_random_state(saved: Path) -> None:
    """Building layers draws from it; loading must not."""
    before = torch.get_rng_state()
    load_model(saved)
    assert torch.equal(torch.get_rng_state(), before)


def test_loaded_tensors_do_not_hang_on_the_file(record, saved: Path) -> None:
    """A file that is overwritten in place later changes nothing."""
    loaded = load_model(saved)
    content = saved.read_bytes()
    with saved.open("rb+") as file:
        file.write(b"\xff" * len(content))
    assert_same(loaded, record())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_failed_save_keeps_the_old_file(record, saved: Path, monkeypatch, code: int) -> None:
    """The disk fills up while writing: one clear error, the old model untouched, nothing left behind."""
    old = saved.read_bytes()

    def fail(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:100])
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OutputError, match=r"cannot write .*model\.dgd: .*disk"):
        save_model(record("poisson"), saved)
    monkeypatch.undo()
    assert saved.read_bytes() == old
    assert [file.name for file in saved.parent.iterdir()] == ["model.dgd"]


LIMITED = """
import resource, signal, sys
from pathlib import Path
from pydgd.checkpoints import load_model, save_model
from pydgd.errors import OutputError
record = load_model(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    save_model(record, sys.argv[1])
except OutputError as error:
    print(error)
"""


def test_file_size_limit_is_a_clear_error(saved: Path) -> None:
    """A failure that the operating system itself makes, in a process of its own."""
    old = saved.read_bytes()
    shell = subprocess.run([sys.executable, "-c", LIMITED, saved], capture_output=True, text=True, check=True)
    assert "model.dgd: the file grew beyond the size limit" in shell.stdout
    assert saved.read_bytes() == old
    assert [file.name for file in saved.parent.iterdir()] == ["model.dgd"]


@pytest.mark.parametrize("where", ["missing/model.dgd", "folder"])
def test_place_that_cannot_be_written_is_refused(record, tmp_path: Path, where: str) -> None:
    """A folder that is not there, or a folder in place of a file."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        save_model(record(), tmp_path / where)


def test_save_does_not_change_the_model(record, tmp_path: Path) -> None:
    """Nor the record, whose hash is empty until it is computed."""
    before = record()
    saved = save_model(before, tmp_path / "model.dgd")
    assert before.content_hash == ""
    assert len(saved.content_hash) == 64
    assert_same(before, record())


def test_record_that_json_cannot_hold_is_refused_before_writing(record, saved: Path) -> None:
    """A NaN among the options is a mistake of the caller; the old file stays."""
    old = saved.read_bytes()
    with pytest.raises(ValueError, match="JSON"):
        save_model(replace(record(), options={"dropout": float("nan")}), saved)
    assert saved.read_bytes() == old
