# SPDX-License-Identifier: BSD-3-Clause
"""The model in tensors: distributions of counts, output modules, decoder and latent priors. Torch only."""
