# SPDX-License-Identifier: BSD-3-Clause
"""Files that are no model, no longer one, or not one yet: refused with one clear error, nothing executed."""

import json
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from pydgd.checkpoints import load_model, native, save_model
from pydgd.errors import ModelFileError

from .conftest import make_record


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


def test_any_byte_that_changes_is_noticed(saved: Path) -> None:
    """Every 97th byte, the first and the last 40: each of three changes is refused."""
    content = saved.read_bytes()
    places = {*range(0, len(content), 97), *range(40), *range(len(content) - 40, len(content))}
    for place in sorted(places):
        for change in (0x01, 0x80, 0xFF):
            broken = bytearray(content)
            broken[place] ^= change
            saved.write_bytes(broken)
            with pytest.raises(ModelFileError, match=r"model\.dgd"):
                load_model(saved)


def test_any_truncation_is_noticed(saved: Path) -> None:
    """At the start, within the header, within the tensors, one byte short; and too long."""
    content = saved.read_bytes()
    for length in {*range(0, len(content), 61), 1, 7, 8, 9, len(content) - 1}:
        saved.write_bytes(content[:length])
        with pytest.raises(ModelFileError, match=r"model\.dgd"):
            load_model(saved)
    saved.write_bytes(content + b"\0")
    with pytest.raises(ModelFileError, match=r"model\.dgd"):
        load_model(saved)


def test_swapped_halves_are_noticed(saved: Path) -> None:
    """A file whose blocks are in the wrong order has the right length and the right bytes."""
    content = saved.read_bytes()
    size = len(content) // 2
    saved.write_bytes(content[:8] + content[8 + size :] + content[8 : 8 + size])
    with pytest.raises(ModelFileError):
        load_model(saved)


class Payload:
    """What a pickle could do."""

    def __reduce__(self) -> tuple:
        """Leave a trace."""
        return (Path.touch, (Path("pickle-was-here"),))


FOREIGN = {
    "empty": b"",
    "text": b"gene,count\nTP53,3\n" * 20,
    "zeros": bytes(1000),
    "pickle": pickle.dumps(Payload()),
    "header of 2**63 bytes": struct.pack("<Q", 2**63) + bytes(100),
    "header of 0 bytes": struct.pack("<Q", 0) + bytes(100),
    "header that is no JSON": struct.pack("<Q", 10) + b"{" * 10,
    "gzip": b"\x1f\x8b\x08" + bytes(100),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_file_of_another_kind_is_refused(tmp_path: Path, monkeypatch, what: str) -> None:
    """The message names the file and what was expected; nothing in it is executed."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.dgd"
    path.write_bytes(FOREIGN[what])
    with pytest.raises(
        ModelFileError, match=r"model\.dgd is not a PyDGD model or is damaged .* `pydgd train`"
    ):
        load_model(path)
    assert not Path("pickle-was-here").exists()


def test_torch_checkpoint_is_refused(tmp_path: Path, monkeypatch) -> None:
    """torch.save writes a zip with a pickle inside."""
    monkeypatch.chdir(tmp_path)
    torch.save({"weights": Payload()}, tmp_path / "model.dgd")
    with pytest.raises(ModelFileError, match="not a PyDGD model"):
        load_model(tmp_path / "model.dgd")
    assert not Path("pickle-was-here").exists()


@pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}, {"format": "pydgd-genes"}])
def test_other_safetensors_file_is_refused(tmp_path: Path, metadata) -> None:
    """The weights of another program are no model."""
    save_file({"weight": torch.ones(3)}, tmp_path / "other.safetensors", metadata=metadata)
    with pytest.raises(
        ModelFileError, match=r"other\.safetensors is a safetensors file but not a PyDGD model"
    ):
        load_model(tmp_path / "other.safetensors")


def rewrite(
    path: Path, *, rehash: bool = True, tensors: dict[str, Tensor] | None = None, **metadata: str | None
) -> None:
    """Change parts of a model file, with or without its hash."""
    old_metadata, old_tensors = parts(path)
    new = {key: value for key, value in {**old_metadata, **metadata}.items() if value is not None}
    kept = {key: value for key, value in {**old_tensors, **(tensors or {})}.items() if value.numel()}
    if rehash:
        new["sha256"] = native._checksum(new, kept)
    save_file(kept, path, metadata=new)


@pytest.mark.parametrize("version", ["3", "99", "0", "", "one", "-1", "1.5", "²", "9" * 5000, None])
def test_other_format_version_is_refused(saved: Path, version: str | None) -> None:
    """Before anything else is read, with both versions and the repair."""
    rewrite(saved, format_version=version, rehash=False)
    with pytest.raises(ModelFileError, match=r"format version .*reads up to 2; upgrade PyDGD"):
        load_model(saved)


@pytest.mark.parametrize(
    "change",
    [
        {"genes": json.dumps(["g"] * 6)},
        {"scaling": '"mean"'},
        {"provenance": "{}"},
        {"extra": "1"},
        {"labels": None},
        {"sha256": "0" * 64},
        {"sha256": None},
        {"tensors": {"profile": torch.ones(6)}},
        {"tensors": {"representations": torch.zeros(5, 3)}},
        {"tensors": {"new": torch.zeros(1)}},
        {"tensors": {"profile": torch.empty(0)}},
    ],
    ids=lambda change: " ".join([*change, *change.get("tensors", {})]),
)
def test_changed_content_is_refused(saved: Path, change: dict) -> None:
    """Any entry or tensor that was changed, added or removed does not match the hash."""
    rewrite(saved, rehash=False, **change)
    with pytest.raises(ModelFileError, match="damaged: its content does not match its SHA-256"):
        load_model(saved)


@pytest.mark.parametrize(
    "change",
    [lambda x: x.reshape(3, 5), lambda x: x.view(torch.int32), lambda x: x.reshape(15), lambda x: x[None]],
    ids=["transposed shape", "dtype", "flat", "one more dimension"],
)
def test_same_bytes_read_another_way_are_refused(saved: Path, change) -> None:
    """The hash covers shapes and dtypes, not only bytes."""
    z = parts(saved)[1]["representations"]
    rewrite(saved, rehash=False, tensors={"representations": change(z).clone()})
    with pytest.raises(ModelFileError, match="damaged: its content does not match its SHA-256"):
        load_model(saved)


@pytest.mark.parametrize(
    "change",
    [
        {"genes": json.dumps(["g"] * 5)},
        {"genes": json.dumps(["g"] * 6)},
        {"genes": json.dumps([1, 2, 3, 4, 5, 6])},
        {"genes": '"abcdef"'},
        {"genes": "[" * 100_000},
        {"genes": "9" * 5000},
        {"genes": "7"},
        {"scaling": '"quantile"'},
        {"scaling": '["total"]'},
        {"samples": json.dumps(["a", "b"])},
        {"samples": json.dumps(["a"] * 5)},
        {"samples": json.dumps([1, 2, 3, 4, 5])},
        {"labels": json.dumps(["a", "b"])},
        {"labels": '"abcde"'},
        {"options": "[]"},
        {"options": '{"a": NaN}'},
        {"provenance": "3"},
        {"history": "[]"},
        {"history": '{"epoch": 3}'},
        {"history": '{"epoch": [1], "n_skipped": [null]}'},
        {"prior": '{"name": ["em"], "n_components": 2, "latent_dim": 3}'},
        {"prior": '{"name": "gradient", "n_components": 2, "latent_dim": 3, "generator": "x"}'},
        {"prior": '{"name": "em", "n_components": 2, "latent_dim": 1e999}'},
        {"tensors": {"representations": torch.zeros(5, 4)}},
        {"tensors": {"representations": torch.zeros(4, 3)}},
        {"tensors": {"representations": torch.zeros(15)}},
        {"tensors": {"representations": torch.full((5, 3), torch.nan)}},
        {"tensors": {"representations": torch.zeros(5, 3, dtype=torch.int64)}},
        {"tensors": {"profile": torch.full((6,), torch.inf)}},
        {"tensors": {"profile": torch.ones(6, dtype=torch.complex64)}},
        {"tensors": {"decoder.output_module.layer_means.bias": torch.full((6,), torch.nan)}},
        {"tensors": {"prior.means": torch.full((2, 3), torch.nan, dtype=torch.float64)}},
        {"genes": "not JSON"},
        {"genes": None},
        {"decoder": "[]"},
        {"decoder": '{"n_units_input_layer": 3}'},
        {"prior": '{"name": "flow"}'},
        {"prior": "3"},
        {"history": "{}"},
        {"samples": "null"},
        {"tensors": {"representations": torch.empty(0)}},
        {"tensors": {"profile": torch.empty(0)}},
        {"tensors": {"decoder.extra": torch.ones(1)}},
        {"tensors": {"prior.means": torch.ones(2, 4)}},
    ],
    ids=lambda change: " ".join([*(f"{k}={v}"[:30] for k, v in change.items()), *change.get("tensors", {})]),
)
def test_whole_file_that_makes_no_sense_is_refused(saved: Path, change: dict) -> None:
    """A valid hash over wrong content is an error of the same kind, not a traceback."""
    rewrite(saved, **change)
    with pytest.raises(ModelFileError, match=r"model\.dgd is whole but does not describe a model") as caught:
        load_model(saved)
    assert len(str(caught.value)) < 1000


SIZES = {
    "wide": ("decoder", {"n_units_hidden_layers": [16_000, 16_000], "activations": ["elu", "elu"]}),
    "many layers": ("decoder", {"n_units_hidden_layers": [3] * 10_000, "activations": ["elu"] * 10_000}),
    "many genes": ("decoder", {"output_module_options": {"output_dim": 10**9, "r_init": 2.0}}),
    "beyond an address": ("decoder", {"output_module_options": {"output_dim": 10**18, "r_init": 2.0}}),
    "beyond an integer": ("decoder", {"output_module_options": {"output_dim": 10**30, "r_init": 2.0}}),
    "latent dimensions": ("decoder", {"n_units_input_layer": 10**9}),
    "em": ("prior", {"latent_dim": 50_000, "covariance_type": "full"}),
    "gradient": (
        "prior",
        {"name": "gradient", "latent_dim": 10**9, "reg_covar": None, "tol": None, "covariance_type": "fixed"},
    ),
}

LIMITED = """
import resource, sys
from pathlib import Path
from pydgd.checkpoints import load_model
from pydgd.errors import ModelFileError
for path in map(Path, sys.argv[1:]):
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 200 * 2**20, resource.RLIM_INFINITY))
    try:
        load_model(path)
    except ModelFileError as error:
        print(path.stem, "refused", error)
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What one process says to files of all `SIZES`, each within 200 MiB of its own."""
    folder = tmp_path_factory.mktemp("sizes")
    files = [folder / f"{what}.dgd" for what in SIZES]
    for path, (part, sizes) in zip(files, SIZES.values(), strict=True):
        save_model(make_record(), path)
        options = {**json.loads(parts(path)[0][part]), **sizes}
        kept = {name: value for name, value in options.items() if value is not None}
        rewrite(path, **{part: json.dumps(kept)})
    shell = subprocess.run(
        [sys.executable, "-c", LIMITED, *files], capture_output=True, text=True, check=True
    )
    return shell.stdout.splitlines()


@pytest.mark.parametrize("what", SIZES)
def test_options_of_a_small_file_cannot_ask_for_memory(answers: list[str], what: str) -> None:
    """A file of a few kB whose options speak of gigabytes is refused within 200 MiB."""
    (answer,) = [line for line in answers if line.startswith(f"{what} refused")]
    assert "is whole but does not describe a model" in answer


@pytest.mark.parametrize(
    ("name", "expected"), [("folder", "is not an ordinary file"), ("missing.dgd", "does not exist")]
)
def test_no_file_is_said_so(tmp_path: Path, name: str, expected: str) -> None:
    """A folder or a wrong path; the message gives it and the repair."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelFileError, match=rf"{name} {expected}; give a model file"):
        load_model(tmp_path / name)


def test_device_is_no_model_file() -> None:
    """It exists, but reading it could block."""
    with pytest.raises(ModelFileError, match="is not an ordinary file"):
        load_model("/dev/null")
