# SPDX-License-Identifier: BSD-3-Clause
"""Models that go by a name: those that come with PyDGD, and those that `pydgd models fetch` has fetched."""

import difflib
import logging
from os import PathLike
from pathlib import Path

from pydgd.data.download_cache import cache_folder
from pydgd.errors import ConfigError, ModelFileError

_log = logging.getLogger(__name__)

# Data of the package, as pip installs it; recipes/normal_tissues.py makes what is in it.
SHIPPED = Path(__file__).parents[1] / "models"
_MODEL = ".dgd"


def fetched_folder() -> Path:
    """Where models are that were fetched.

    Raises:
        ConfigError: If there is no place for downloads.
    """
    return cache_folder() / "models"


def named_models() -> dict[str, Path]:
    """File of each model that goes by a name, those that come with PyDGD first.

    Example:
        >>> named_models()["normal-tissues"].name
        'normal-tissues.dgd'
    """
    return _fetched() | _models(SHIPPED)


def is_model_name(path: str | PathLike[str]) -> bool:
    """Whether a model goes by this name and there is no file of the name.

    Args:
        path: What a user gave.
    """
    return not Path(path).is_file() and str(path) in named_models()


def find_model(path: str | PathLike[str]) -> Path:
    """The file that a user means by a path or a name; a file of that name goes before the name.

    Args:
        path: What the user gave.

    Raises:
        ModelFileError: If there is neither; the message lists the names.
    """
    given = Path(path)
    if given.is_file():
        if str(path) in _models(SHIPPED):
            _log.warning("%s: the file of this name is read, not the model that comes with PyDGD", given)
        return given
    models = named_models()
    if str(path) in models:
        _log.info("%s: read from %s", path, models[str(path)])
        return models[str(path)]
    if given.exists():
        # A folder or a device: that is for the reader to refuse.
        return given
    close = difflib.get_close_matches(given.name.removesuffix(_MODEL), models, n=1)
    meant = f"; did you mean {close[0]}?" if close else ""
    raise ModelFileError(
        f"{path} does not exist; give a model file, e.g. one written by `pydgd train`, or the name of a "
        f"model ({', '.join(models)}){meant}"
    )


def _fetched() -> dict[str, Path]:
    """None where there is no place for downloads: what comes with PyDGD is found without one."""
    try:
        return _models(fetched_folder())
    except ConfigError:
        return {}


def _models(folder: Path) -> dict[str, Path]:
    return {path.name.removesuffix(_MODEL): path for path in sorted(folder.glob(f"*{_MODEL}"))}
