# SPDX-License-Identifier: BSD-3-Clause
"""Models from the network: kept under a name once their checksum is right and they can be read."""

import re
import shutil
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from pydgd.checkpoints.native import load_model
from pydgd.data.download import Downloads, Wanted
from pydgd.data.download_cache import checksum
from pydgd.data.named import SHIPPED, fetched_folder
from pydgd.errors import ConfigError, DownloadError, OutputError

_SCHEMES = ("https",)
# Sixty thousand genes on a thousand hidden units take 240 MB.
_MOST_BYTES = 4 * 2**30
_FETCHING = ".fetching-"
# Nothing was written for so long: that run was killed. One that goes on waits for a day at the most.
_DEAD_SECONDS = 3 * 24 * 3600


def fetch_model(
    url: str, sha256: str, *, name: str | None = None, timeout: float = 60.0, attempts: int = 5
) -> Path:
    """Have a model in the cache, under its name; one that is there already is not fetched again.

    Args:
        url: Where it is, by https.
        sha256: SHA-256 of the file, as ``sha256sum`` prints it. A file with another one is not kept.
        name: To go by; by default that of the file.
        timeout: Seconds without a byte to wait.
        attempts: How often to try.

    Returns:
        Its file.

    Raises:
        ConfigError: If the address, checksum or name will not do, or the name stands for another model.
        DownloadError: If it cannot be had, or has another checksum.
        ModelFileError: If it is no model.
        OutputError: If the cache cannot be written to.
    """
    target = _target(url, sha256, name)
    if target.is_file():
        return _kept(target, sha256.lower())
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _clean(target.parent)
        # In the same folder, so that the file appears there whole.
        with TemporaryDirectory(dir=target.parent, prefix=_FETCHING) as folder:
            downloads = Downloads(Path(folder), timeout=timeout, attempts=attempts)
            wanted = Wanted(url, lambda path: _check(path, url, sha256.lower()), most=_MOST_BYTES)
            came = downloads.fetch(wanted)
            assert came is not None  # it is not optional
            load_model(came)
            came.replace(target)
    except OSError as error:
        if isinstance(error, DownloadError):
            raise
        raise OutputError(
            f"cannot write {target}: {error.strerror or error}; set PYDGD_CACHE to a folder that you may "
            "write to"
        ) from error
    return target


def _kept(path: Path, sha256: str) -> Path:
    """The file that is there, if it is the one asked for."""
    if checksum(path) != sha256:
        raise ConfigError(
            f"{path.stem!r} is another model already, or {path} is damaged: its SHA-256 is another; "
            "give this model another --name, or delete that file and fetch it again"
        )
    return path


def _clean(folder: Path) -> None:
    """Remove what runs left that were killed."""
    for place in folder.glob(f"{_FETCHING}*"):
        with suppress(OSError):  # of another user, or gone meanwhile
            last = max(path.stat().st_mtime for path in (place, *place.rglob("*")))
            if time.time() - last > _DEAD_SECONDS:
                shutil.rmtree(place, ignore_errors=True)


def _target(url: str, sha256: str, name: str | None) -> Path:
    """Where the model shall be, if what was asked for can be had."""
    address = urlsplit(url)
    if address.scheme not in _SCHEMES or not address.netloc:
        raise ConfigError(f"{url!r}: models are fetched by https only; give an address of https://")
    if not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise ConfigError(f"{sha256!r} is no SHA-256; give the 64 digits that sha256sum prints for the file")
    name = address.path.rpartition("/")[2].removesuffix(".dgd") if name is None else name
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", name, re.ASCII):
        raise ConfigError(
            f"{name!r} cannot be the name of a model; give letters, digits, -, _ and . as --name"
        )
    if (SHIPPED / f"{name}.dgd").is_file():
        raise ConfigError(f"{name!r} is a model that comes with PyDGD; give this one another --name")
    return fetched_folder() / f"{name}.dgd"


def _check(path: Path, url: str, sha256: str) -> None:
    found = checksum(path)
    if found != sha256:
        raise DownloadError(
            f"{url}: what came has the SHA-256 {found}, not {sha256}; nothing was kept. Compare the address "
            "and the checksum with what the model's makers publish"
        )
