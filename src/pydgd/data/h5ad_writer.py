# SPDX-License-Identifier: BSD-3-Clause
"""AnnData to h5ad, so that a full disk is an error and not a crash."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike

import h5py
from anndata import AnnData
from anndata.io import write_elem

from pydgd.files import atomic_write


def write_h5ad(adata: AnnData, path: str | PathLike[str], *, compression: str | None = None) -> None:
    """Write an h5ad file; whatever stood at `path` is replaced once the new file is complete.

    Args:
        adata: What to write; its columns of text become categorical, as `AnnData.write_h5ad` makes them.
        path: Where the file shall be.
        compression: ``"gzip"``, or None for speed.

    Raises:
        OutputError: If the file cannot be written, for instance because the disk is full.

    Example:
        >>> import tempfile, anndata, numpy as np
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_h5ad(AnnData(np.ones((2, 3))), f"{folder}/counts.h5ad")
        ...     anndata.read_h5ad(f"{folder}/counts.h5ad").shape
        (2, 3)
    """
    adata.strings_to_categoricals()
    with create_h5(path) as (file, _):
        options = {"compression": compression} if compression else {}
        write_elem(file, "/", adata, dataset_kwargs=options)


@contextmanager
def create_h5(path: str | PathLike[str]) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """A new HDF5 file; whatever stood at `path` is replaced once the block has ended well.

    Args:
        path: Where the file shall be.

    Yields:
        The open file, and what raises the error that writing has met so far, to be called now and then.

    Raises:
        OutputError: If the file cannot be written, for instance because the disk is full.
    """
    with atomic_write(path) as temporary, FaultTolerantFile(temporary, "w+") as stream:
        try:
            with h5py.File(stream, "w") as file:
                yield file, stream.raise_error
        finally:
            # Whatever HDF5 made of bytes that were lost, the disk's own error comes first.
            stream.raise_error()


class FaultTolerantFile(io.FileIO):
    """A file that keeps its first error, or Ctrl-C, for later and goes on as if all were well.

    HDF5 cannot close a file whose writes fail: it tries again when the process ends, and crashes
    (segmentation fault, HDF5 1.14). So it never hears of the failure, and what it writes after that is kept
    in memory: it reads its own bytes back, and crashes over others. `raise_error` ends this before long.
    """

    error: BaseException | None = None

    def __init__(self, path: str | PathLike[str], mode: str) -> None:
        super().__init__(path, mode)
        self._kept: list[tuple[int, bytes]] = []

    def write(self, data: object, /) -> int:
        """Write all of `data`, or keep what is left of it."""
        view = memoryview(data).cast("B")  # type: ignore[arg-type]  # h5py passes buffers
        written = 0
        while written < len(view) and self.error is None:
            try:
                written += super().write(view[written:])
            except (OSError, KeyboardInterrupt, SystemExit) as error:
                self.error = error
        if written < len(view):
            start = self.tell()
            self._kept.append((start, bytes(view[written:])))
            self.seek(start + len(view) - written)
        return len(view)

    def readinto(self, buffer: object, /) -> int:
        """Read what was written, or would have been."""
        if self.error is None:
            return super().readinto(buffer)  # type: ignore[arg-type]
        view, start = memoryview(buffer).cast("B"), self.tell()  # type: ignore[arg-type]
        n_read = super().readinto(view) or 0
        view[n_read:] = bytes(len(view) - n_read)
        for place, kept in self._kept:
            first, last = max(place, start), min(place + len(kept), start + len(view))
            if first < last:
                view[first - start : last - start] = kept[first - place : last - place]
        self.seek(start + len(view))
        return len(view)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place; the end is that of what would have been written."""
        if whence == io.SEEK_END and self._kept:
            ends = [place + len(kept) for place, kept in self._kept]
            return super().seek(max(super().seek(0, io.SEEK_END), *ends) + offset)
        return super().seek(offset, whence)

    def truncate(self, size: int | None = None, /) -> int:
        """Change the size, or note why not."""
        try:
            return super().truncate(size)
        except (OSError, KeyboardInterrupt, SystemExit) as error:
            self.error = self.error or error
            return size or 0

    def raise_error(self) -> None:
        """Raise the first error, if there was one."""
        if self.error is not None:
            raise self.error
