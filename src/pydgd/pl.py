# SPDX-License-Identifier: BSD-3-Clause
"""`pydgd.plotting` by its short name: ``import pydgd.pl`` works like ``from pydgd import pl``."""

from pydgd.plotting import *  # noqa: F403  # all of its names, and no other
from pydgd.plotting import __all__ as __all__
