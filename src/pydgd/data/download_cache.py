# SPDX-License-Identifier: BSD-3-Clause
"""The place of a downloaded file on the disk, whole or begun."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest, sha256
from pathlib import Path
from urllib.parse import urlsplit

from pydgd.errors import ConfigError

try:
    import fcntl
except ImportError:  # Windows has no advisory locks; two runs at once may there fetch a file twice.
    fcntl = None  # type: ignore[assignment]  # the only other value


def cache_folder() -> Path:
    """Where downloads are kept unless the user says otherwise.

    ``PYDGD_CACHE`` if it is set, else ``pydgd`` in ``XDG_CACHE_HOME`` or in ``~/.cache``.

    Raises:
        ConfigError: If none is set and the system knows no home of this user.
    """
    own, shared = os.environ.get("PYDGD_CACHE"), os.environ.get("XDG_CACHE_HOME")
    return Path(own) if own else (Path(shared) if shared else _home() / ".cache") / "pydgd"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise ConfigError(
            "there is no place for downloads: this user has no home folder (HOME is not set); set "
            "PYDGD_CACHE to a folder"
        ) from error


class CachedFile:
    """A file of the network in a folder: itself, its record, and what has come of it so far.

    Args:
        folder: Of all downloads.
        url: Where the file comes from; host and path give its place.
        form: Body of the request, if it had one.
    """

    def __init__(self, folder: Path, url: str, form: bytes | None = None) -> None:
        parts = urlsplit(url)
        steps = [re.sub(r"[^\w.+-]", "_", step) for step in (parts.netloc, *parts.path.split("/")) if step]
        # No step may lead elsewhere.
        steps = [step for step in steps if step.strip(".")]
        asked = (parts.query.encode() + b"\n" + form) if form is not None else parts.query.encode()
        if asked:
            steps[-1] = f"{steps[-1]}-{sha256(asked).hexdigest()[:20]}"
        self.path = folder.joinpath(*steps)
        self.part = self.path.with_name(self.path.name + ".part")
        self._record = self.path.with_name(self.path.name + ".json")
        self._tag = self.path.with_name(self.path.name + ".part.tag")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time; others wait."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_name(self.path.name + ".lock").open("w") as stream:
            if fcntl is not None:
                fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def is_whole(self) -> bool:
        """Whether the file is there as it came, by size and checksum."""
        try:
            record = json.loads(self._record.read_text())
            return bool(
                self.path.stat().st_size == record["size"] and checksum(self.path) == record["sha256"]
            )
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def begun(self) -> tuple[int, str]:
        """Bytes that have come and the version they are of; 0 if they cannot be gone on with."""
        try:
            tag = self._tag.read_text()
            return (self.part.stat().st_size, tag) if tag else (0, "")
        except OSError:
            return 0, ""

    def begin(self, tag: str, *, resumed: bool) -> None:
        """Note which version comes now; unless it goes on, what had come is dropped.

        Args:
            tag: Of the version; "" if the server gives none.
            resumed: Whether the answer goes on where the last one broke off.
        """
        if not resumed:
            self.part.write_bytes(b"")
            self._tag.write_text(tag)

    def discard(self) -> None:
        """Drop what has come."""
        self.part.unlink(missing_ok=True)
        self._tag.unlink(missing_ok=True)

    def keep(self, url: str) -> None:
        """Make what has come the file.

        Args:
            url: Noted in the record.
        """
        record = {"url": url, "size": self.part.stat().st_size, "sha256": checksum(self.part)}
        self._record.unlink(missing_ok=True)
        self.part.replace(self.path)
        self._tag.unlink(missing_ok=True)
        temporary = self._record.with_name(self._record.name + ".part")
        temporary.write_text(json.dumps(record, indent=1) + "\n")
        temporary.replace(self._record)


def checksum(path: Path) -> str:
    """SHA-256 of a file.

    Args:
        path: The file.
    """
    with path.open("rb") as stream:
        return file_digest(stream, "sha256").hexdigest()
