# SPDX-License-Identifier: BSD-3-Clause
"""The reference of held-out samples in the model file: exact, optional, refused when damaged."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pydgd.checkpoints import load_model, native, save_model
from pydgd.checkpoints.reference import FitReference
from pydgd.errors import ModelFileError

from .conftest import G, N
from .test_native import parts


def make_reference(n: int = 7, n_genes: int = G) -> FitReference:
    """Numbers from a seed."""
    rng = np.random.default_rng(4)
    of_samples = {name: rng.lognormal(size=n) for name in ("nll", "misfit", "distance")}
    return FitReference(**of_samples, gene_nll=rng.lognormal(size=n_genes), gene_deviance=np.ones(n_genes))


def as_bytes(reference: FitReference) -> dict[str, bytes]:
    """Every part."""
    return {field.name: getattr(reference, field.name).tobytes() for field in fields(reference)}


def test_round_trip_is_exact(record, tmp_path: Path) -> None:
    """Every number, and the hash; a model without reference has another one."""
    with_reference = replace(record(), reference=make_reference())
    saved = save_model(with_reference, tmp_path / "model.dgd")
    loaded = load_model(tmp_path / "model.dgd")
    assert as_bytes(loaded.reference) == as_bytes(with_reference.reference)
    assert loaded.content_hash == saved.content_hash
    bare = save_model(record(), tmp_path / "bare.dgd")
    assert bare.content_hash != saved.content_hash
    assert load_model(tmp_path / "bare.dgd").reference is None


def test_file_of_version_1_is_a_model_without_reference(record, tmp_path: Path) -> None:
    """With the content hash that it always had."""
    path = tmp_path / "model.dgd"
    saved = save_model(record(), path)
    metadata, tensors = parts(path)
    metadata["format_version"] = "1"
    metadata["sha256"] = native._checksum(metadata, tensors)
    save_file(tensors, path, metadata=metadata)
    loaded = load_model(path)
    assert loaded.reference is None
    assert loaded.content_hash == saved.content_hash
    assert len(loaded.sample_names) == N


DAMAGE = {
    "a negative misfit": ({"misfit": -torch.ones(7)}, "misfit must be finite and not negative"),
    "a distance of 0": ({"distance": torch.arange(7.0)}, "distance must be above 0"),
    "all alike": ({"misfit": torch.ones(7)}, "misfit must be above 0, and differ"),
    "of another size": ({"distance": 1 + torch.arange(6.0)}, "distance"),
    "other genes": (
        {"gene_nll": torch.ones(G + 1), "gene_deviance": torch.ones(G + 1)},
        f"of the model's {G} genes, got {G + 1}",
    ),
    "a matrix": ({"gene_nll": torch.ones(2, G)}, "gene_nll"),
    "a part too many": ({"median": torch.ones(7)}, "median"),
    "nothing expected": ({"gene_nll": torch.zeros(G)}, "some of it above 0"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_reference_that_makes_no_sense_is_refused(record, tmp_path: Path, case: str) -> None:
    """As any other part of the file is."""
    changes, message = DAMAGE[case]
    path = tmp_path / "model.dgd"
    save_model(replace(record(), reference=make_reference()), path)
    metadata, tensors = parts(path)
    tensors |= {f"reference.{name}": values for name, values in changes.items()}
    metadata["sha256"] = native._checksum(metadata, tensors)
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(ModelFileError, match=message):
        load_model(path)


def test_missing_part_is_refused(record, tmp_path: Path) -> None:
    """A reference is whole or not there."""
    path = tmp_path / "model.dgd"
    save_model(replace(record(), reference=make_reference()), path)
    metadata, tensors = parts(path)
    del tensors["reference.misfit"]
    metadata["sha256"] = native._checksum(metadata, tensors)
    save_file(tensors, path, metadata=metadata)
    with pytest.raises(ModelFileError, match="misfit"):
        load_model(path)


def test_four_samples_are_too_few() -> None:
    """A spread of four samples says next to nothing."""
    with pytest.raises(ValueError, match="at least 5 samples, got 4"):
        make_reference(4)
