# SPDX-License-Identifier: BSD-3-Clause
"""What can go wrong, by kind. Each error is a `PyDGDError` and also the builtin a caller would expect."""


class PyDGDError(Exception):
    """Base of every error that PyDGD raises on purpose."""


class ConfigError(PyDGDError, ValueError):
    """An option has a value that is not allowed."""


class CountsError(PyDGDError, ValueError):
    """Counts are not counts: negative, fractional, not finite, or empty."""


class FileFormatError(PyDGDError, ValueError):
    """A file is not what its name or its place says."""


class NamesError(PyDGDError, ValueError):
    """Sample or gene names are missing or repeated."""


class GeneMismatchError(PyDGDError, ValueError):
    """Counts and model do not share enough genes."""


class ModelFileError(PyDGDError, ValueError):
    """A model file is damaged, too new, or not a model."""


class TrainingError(PyDGDError, RuntimeError):
    """Training cannot start or cannot go on with these data."""


class CheckpointError(PyDGDError, RuntimeError):
    """The kept state of an interrupted training is damaged, of another training, or in the way."""


class ConvergenceError(PyDGDError, ArithmeticError):
    """A series or fraction has not settled: what it has come to is not the result."""


class TooLargeError(PyDGDError, MemoryError):
    """What is asked for takes more memory than there is."""


class OutputError(PyDGDError, OSError):
    """A result cannot be written."""


class DownloadError(PyDGDError, OSError):
    """A file cannot be had from the network."""
