# SPDX-License-Identifier: BSD-3-Clause
"""Where the parts of a model of bulkdgd are: given, named by its YAML, or beside it."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from pydgd.checkpoints.bulkdgd_config import PACKAGED
from pydgd.checkpoints.bulkdgd_files import require_file
from pydgd.errors import ModelFileError

_USUAL = {
    "decoder": ("dec.pth", "decoder.pth"),
    "mixture": ("gmm.pth", "latent.pth"),
    "genes": ("genes.txt",),
    "config": ("config_model.yaml", "model.yaml"),
}


@dataclass(frozen=True)
class PeerFiles:
    """Where the parts of a model of bulkdgd are.

    Attributes:
        config: YAML of the model.
        decoder: Its ``dec.pth``.
        mixture: Its ``gmm.pth`` or ``latent.pth``.
        genes: Its ``genes.txt``.
        representations: CSV of its training samples' representations; None to do without.
    """

    config: Path
    decoder: Path
    mixture: Path
    genes: Path
    representations: Path | None = None


def config_in(source: Path) -> Path:
    """The model's YAML.

    Args:
        source: The file itself, or a folder with ``config_model.yaml`` or ``model.yaml``.

    Raises:
        ModelFileError: If there is none.
    """
    if not source.is_dir():
        require_file(source, "a model's configuration (YAML)")
        return source
    found = next((source / name for name in _USUAL["config"] if (source / name).is_file()), None)
    if found is None:
        raise ModelFileError(
            f"{source} has no {' or '.join(_USUAL['config'])}; give the YAML of the model of bulkdgd itself"
        )
    return found


def place_of(what: str, given: str | PathLike[str] | None, named: str | None, config: Path) -> Path:
    """The file that is given, or that the configuration names, or that has its usual name beside it.

    Args:
        what: ``decoder``, ``mixture`` or ``genes``.
        given: By the user.
        named: By the configuration, relative to its folder; ``default`` is a file that bulkdgd ships.
        config: The YAML.

    Raises:
        ModelFileError: If no file is given or named, and none has the usual name.
    """
    if given is not None:
        return Path(given)
    if named is not None and named != PACKAGED:
        return config.parent / named
    usual = _USUAL[what]
    found = next((config.parent / name for name in usual if (config.parent / name).is_file()), None)
    if found is None:
        where = f"names the packaged {what} file" if named == PACKAGED else f"names no {what} file"
        raise ModelFileError(
            f"{config} {where}, and {' or '.join(usual)} is not beside it; give its path ({what}=...)"
        )
    return found
