# SPDX-License-Identifier: BSD-3-Clause
"""Accuracy, speed and memory of the log-masses: `python benchmarks/likelihood.py [--quick]`, on one thread.

Accuracy is judged against mpmath. Speed is that of value and gradients, in CPU time and by turns with what it
is compared to, so that a busy machine slows both. The full run also times the kernel of torch.compile, and
bulkdgd 2.0.1 itself in an environment of its own (`_peer_venv.py`).
"""

import argparse
import math
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import mpmath
import torch
from scipy import stats
from torch import Tensor

from _figures import Figures
from _peer_venv import run_peer
from pydgd.core.distributions import (
    log_factorial,
    nb_constants,
    nb_log_mass,
    nb_nll,
    poisson_log_mass,
    poisson_nll,
)

GENES = 15_000

PEER_SCRIPT = """
import json, sys, time
import torch
from bulkdgd.core.outputmodules import OutputModuleNBFeatureDispersion
torch.set_num_threads(1)
k, mu, log_r = torch.load(sys.argv[1])
mu.requires_grad_()
log_r.requires_grad_()
times = []
for _ in range(8):
    start = time.process_time()
    mass = OutputModuleNBFeatureDispersion.log_prob_mass(k, mu, log_r.exp())
    torch.autograd.grad(-mass.sum(), (mu, log_r))
    times.append(time.process_time() - start)
print(json.dumps({"seconds": min(times)}))
"""

MEMORY_SCRIPT = """
import ctypes, re, sys
from pathlib import Path
import torch
from pydgd.core.distributions import log_factorial, nb_nll
torch.set_num_threads(1)
k, mu, log_r = torch.load(sys.argv[1])
factorials = log_factorial(k).sum(-1)
mu.requires_grad_()
log_r.requires_grad_()
def megabytes(name):
    return int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
nb_nll(k[:8], mu[:8], log_r, log_factorial=factorials[:8]).sum().backward()
mu.grad = log_r.grad = None
ctypes.CDLL("libc.so.6").malloc_trim(0)
Path("/proc/self/clear_refs").write_text("5")
before = megabytes("VmRSS")
nb_nll(k, mu, log_r, log_factorial=factorials).sum().backward()
print(megabytes("VmHWM") - before)
"""


def three_lgammas(k: Tensor, m: Tensor, r: Tensor) -> Tensor:
    """The formula of bulkdgd, as BULKDGD.md 2.1 states it: counts in float64, the rest in the dtype of m."""
    k, c = k.double(), 1 / (r + m + 1e-10)
    binomial = torch.lgamma(k + r) - torch.lgamma(r) - torch.lgamma(k + 1)
    return binomial + k * torch.log(m * c + 1e-10) + r * torch.log(r * c)


def three_lgammas_throughout(k: Tensor, m: Tensor, r: Tensor) -> Tensor:
    """The same with the counts in the dtype of m too, and without epsilon."""
    binomial = torch.lgamma(k + r) - torch.lgamma(r) - torch.lgamma(k + 1)
    return binomial + k * torch.log(m / (r + m)) + r * torch.log(r / (r + m))


def torch_distributions(k: Tensor, m: Tensor, r: Tensor) -> Tensor:
    """What torch offers."""
    return torch.distributions.NegativeBinomial(r, logits=m.log() - r.log(), validate_args=False).log_prob(k)


def scvi_formula(k: Tensor, m: Tensor, r: Tensor) -> Tensor:
    """The log-mass that scvi-tools publishes, with its epsilon of 1e-8."""
    log_sum = torch.log(r + m + 1e-8)
    binomial = torch.lgamma(k + r) - torch.lgamma(r) - torch.lgamma(k + 1)
    return r * (torch.log(r + 1e-8) - log_sum) + k * (torch.log(m + 1e-8) - log_sum) + binomial


def scipy_logpmf(k: Tensor, m: Tensor, r: Tensor) -> Tensor:
    """SciPy, in float64 whatever it gets."""
    k, m, r = (tensor.double().numpy() for tensor in (k, m, r))
    return torch.as_tensor(stats.nbinom.logpmf(k, r, r / (r + m)))


def exact_mass(k: float, m: float, log_r: float) -> tuple[float, float, float]:
    """Log-mass and its gradients in ln m and ln r, with 80 digits: at r = 1e30 the terms are 1e32."""
    with mpmath.workdps(80):
        k, m, r = mpmath.mpf(k), mpmath.mpf(m), mpmath.exp(mpmath.mpf(log_r))
        value = mpmath.loggamma(k + r) - mpmath.loggamma(r) - mpmath.loggamma(k + 1)
        value += r * mpmath.log(r / (r + m)) + k * mpmath.log(m / (r + m))
        slope = mpmath.digamma(k + r) - mpmath.digamma(r) + mpmath.log(r / (r + m)) + (m - k) / (r + m)
        return value, r * (k - m) / (r + m), r * slope


def random_points(n: int) -> list[tuple[float, float, float]]:
    """Counts, means and log r over the whole range: one in ten counts 0, most near the mean."""
    rng = random.Random(0)
    points = []
    for _ in range(n):
        m = 10 ** rng.uniform(-8, 8)
        near = m * 10 ** rng.gauss(0, rng.choice([1e-3, 1e-2, 0.1, 0.5, 2]))
        k = rng.choice([0, 10 ** rng.uniform(0, 8), *[near] * 8])
        exponent = rng.uniform(-30, 30) if rng.random() < 0.5 else rng.uniform(-2, 4)
        points.append((float(min(1e8, round(k))), m, exponent * math.log(10)))
    return points


class Truth:
    """Points as tensors of one dtype, with the exact log-mass and gradients at the numbers they hold."""

    def __init__(self, points: list[tuple[float, float, float]], dtype: torch.dtype) -> None:
        self.k, self.m, self.log_r = (torch.tensor(c, dtype=dtype) for c in zip(*points, strict=True))
        triples = zip(self.k.tolist(), self.m.tolist(), self.log_r.tolist(), strict=True)
        self.value, self.to_log_m, self.to_log_r = zip(
            *(exact_mass(*point) for point in triples), strict=True
        )

    def error(self, got: Tensor, exact: tuple, scale: float = 1.0) -> float:
        """Largest error in units of max(1, |exact| / scale); infinite where there is a NaN or an infinity."""
        if not got.isfinite().all():
            return math.inf
        pairs = zip(got.tolist(), exact, strict=True)
        return max(float(abs(g - e) / max(1, abs(e) / scale)) for g, e in pairs)


def add_accuracy(figures: Figures, points: list[tuple[float, float, float]], *, quick: bool) -> None:
    """Ours on the whole range, in each form and dtype; the compiled one takes half a minute to make."""
    area = f"{len(points)} points, k to 1e8, m 1e-8..1e8, r 1e-30..1e30"
    for dtype, value_bound, scale, slope_bound in (
        (torch.float64, 1e-12, 1.0, 1e-10),
        (torch.float32, 2e-4, 100.0, 1e-4),
    ):
        name = str(dtype).removeprefix("torch.")
        truth = Truth(points, dtype)
        m, log_r = truth.m.requires_grad_(), truth.log_r.requires_grad_()
        column = truth.k[:, None], m[:, None], log_r[:, None]
        values = {"nb_log_mass": nb_log_mass(truth.k, m, log_r), "nb_nll": -nb_nll(*column)}
        if not quick:
            values["nb_nll, compiled"] = -nb_nll(*column, compiled=True)
        for what, value in values.items():
            error = truth.error(value, truth.value, scale)
            unit = "max(1, |ln f|)" if scale == 1 else "max(1, |ln f| / 100)"
            figures.add(f"{what}, {name}, {area}", error, f"<= {value_bound:g} {unit}", error <= value_bound)
            grad_m, grad_r = torch.autograd.grad(value.sum(), (m, log_r))
            for symbol, got, exact in (
                ("ln m", grad_m.double() * m.detach().double(), truth.to_log_m),
                ("ln r", grad_r, truth.to_log_r),
            ):
                error = truth.error(got, exact)
                bound = f"<= {slope_bound:g} max(1, |it|)"
                figures.add(f"{what}, {name}, gradient in {symbol}", error, bound, error <= slope_bound)
    frozen = nb_nll(*column[:2], column[2].detach(), constants=nb_constants(column[0], column[2]))
    error, bound = truth.error(-frozen, truth.value, 100.0), "<= 0.0002 max(1, |ln f| / 100)"
    figures.add("nb_nll, frozen dispersion, float32, same points", error, bound, error <= 2e-4)


def add_finiteness(figures: Figures) -> None:
    """Values and gradients that are NaN, infinite or probabilities above 1, at the ends of the range."""
    counts = torch.tensor([0.0, 1.0, 5.0, 1e3, 1e6, 1e8])
    means = torch.tensor([0.0, 1e-8, 1e-3, 1.0, 1e4, 1e8])
    log_rs = torch.tensor([-1000.0, -104.0, -69.1, -20.0, 0.0, 20.0, 69.1, 89.0, 1000.0])
    for dtype in (torch.float32, torch.float64):
        grid = torch.meshgrid(counts.to(dtype), means.to(dtype), log_rs.to(dtype), indexing="ij")
        k, m, log_r = (tensor.reshape(-1, 1) for tensor in grid)
        m, log_r = m.requires_grad_(), log_r.requires_grad_()
        bad = 0
        for value in (nb_log_mass(k, m, log_r)[:, 0], -nb_nll(k, m, log_r), poisson_log_mass(k, m)[:, 0]):
            grads = torch.autograd.grad(value.sum(), (m, log_r), allow_unused=True)
            bad += int((~value.isfinite() | (value > 1e-6)).sum())
            bad += sum(int((~grad.isfinite()).sum()) for grad in grads if grad is not None)
        what = f"NaN, infinities and masses above 1, {dtype}, m 0 and 1e-8..1e8, ln r -1000..1000"
        figures.add(what, bad, "0", bad == 0)


def add_rivals(figures: Figures, points: list[tuple[float, float, float]]) -> None:
    """For comparison, the errors of others where m is 1e-3..1e6 and r 1e-3..1e9."""
    mild = [p for p in points if 1e-3 <= p[1] <= 1e6 and abs(p[2] - math.log(1e3)) <= math.log(1e6)]
    for dtype in (torch.float32, torch.float64):
        truth = Truth(mild, dtype)
        r = truth.log_r.double().exp().to(dtype)
        for function in (
            three_lgammas,
            three_lgammas_throughout,
            torch_distributions,
            scvi_formula,
            scipy_logpmf,
        ):
            error = truth.error(function(truth.k, truth.m, r), truth.value, 100.0)
            name = str(dtype).removeprefix("torch.")
            figures.add(
                f"for comparison: {function.__name__}, {name}, r 1e-3..1e9, in units of the must above", error
            )


def simulated(n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Counts, means and log r of `n` samples: r around 3, means around 55 and up to 100,000."""
    generator = torch.Generator().manual_seed(0)
    log_r = torch.randn(1, GENES, generator=generator) + 1
    mu = torch.exp(torch.randn(GENES, generator=generator) * 2 + 4)
    mu = mu * torch.exp(0.3 * torch.randn(n, GENES, generator=generator))
    shape = log_r.exp().expand(n, GENES).contiguous()
    counts = torch.poisson(
        torch._standard_gamma(shape, generator=generator) / shape * mu, generator=generator
    )
    return counts, mu, log_r


def fastest(functions: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Shortest CPU time of each function in seconds, in turns of three calls."""
    times = dict.fromkeys(functions, math.inf)
    for _ in range(rounds):
        for name, function in functions.items():
            for _ in range(3):
                start = time.process_time()
                function()
                times[name] = min(times[name], time.process_time() - start)
    return times


def contestants(k: Tensor, mu: Tensor, log_r: Tensor, *, quick: bool) -> dict[str, Callable[[], object]]:
    """Value and gradients by each way there is."""
    factorials, constants = log_factorial(k).sum(-1), nb_constants(k, log_r)
    m, trained = mu.clone().requires_grad_(), log_r.clone().requires_grad_()
    each_r = log_r.expand_as(mu).clone().requires_grad_()

    def both(value: Tensor) -> None:
        torch.autograd.grad(value.sum(), (m, trained))

    def mean_only(value: Tensor) -> None:
        torch.autograd.grad(value.sum(), m)

    functions = {
        "three lgammas": lambda: both(three_lgammas(k, m, trained.exp())),
        "three lgammas, r fixed": lambda: mean_only(three_lgammas(k, m, log_r.exp())),
        "nb_nll": lambda: both(nb_nll(k, m, trained, log_factorial=factorials)),
        "nb_nll, ln k! not given": lambda: both(nb_nll(k, m, trained)),
        "nb_nll, frozen": lambda: mean_only(nb_nll(k, m, log_r, constants=constants)),
        "poisson_nll": lambda: mean_only(poisson_nll(k, m, log_factorial=factorials)),
        "nb_log_mass": lambda: both(nb_log_mass(k, m, trained)),
        "torch.distributions": lambda: both(torch_distributions(k, m, trained.exp())),
        "scvi formula": lambda: both(scvi_formula(k, m, trained.exp())),
        "three lgammas, r per element": lambda: torch.autograd.grad(
            three_lgammas(k, m, each_r.exp()).sum(), (m, each_r)
        ),
        "nb_nll, r per element": lambda: torch.autograd.grad(
            nb_nll(k, m, each_r, log_factorial=factorials).sum(), (m, each_r)
        ),
    }
    if not quick:
        functions["nb_nll, compiled"] = lambda: both(nb_nll(k, m, trained, compiled=True))
        functions["nb_nll, compiled"]()
    return functions


def add_speed(figures: Figures, *, quick: bool) -> None:
    """Times per element, and ratios to the peer's formula."""
    n = 256
    data = simulated(n)
    times = fastest(contestants(*data, quick=quick), 3 if quick else 8)
    for name, seconds in times.items():
        figures.add(
            f"{name}, {n} x {GENES:,}, float32, value and gradients, ns per element",
            seconds / n / GENES * 1e9,
        )
    rivals = {"the three lgammas": times["three lgammas"]}
    if not quick:
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "batch.pt")
            torch.save(data, path)
            rivals["bulkdgd 2.0.1"] = run_peer(PEER_SCRIPT, path)["seconds"]
            add_memory(figures, path, 4 * n * GENES / 2**20)
    for rival, seconds in rivals.items():
        for name, least in (("nb_nll", 2.5), ("nb_nll, frozen", 10.0), ("nb_nll, compiled", 5.0)):
            if name in times:
                ratio = seconds / times[name]
                figures.add(f"{name}: times faster than {rival}", ratio, f">= {least:g}", ratio >= least)
    ratio = times["three lgammas, r fixed"] / times["nb_nll, frozen"]
    figures.add("nb_nll, frozen: times faster than the three lgammas without a gradient in r", ratio)


def add_memory(figures: Figures, path: str, batch: float) -> None:
    """Resident memory at the peak of one pass minus that before it, gradients included, in a new process."""
    command = [sys.executable, "-c", MEMORY_SCRIPT, path]
    extra = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    ratio = extra / batch
    figures.add("nb_nll: peak extra memory in copies of the batch", ratio, "<= 2", ratio <= 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="a minute at most, without the peer and the compiler"
    )
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    figures = Figures("likelihood", quick)
    points = random_points(300 if quick else 3000)
    add_accuracy(figures, points, quick=quick)
    add_finiteness(figures)
    add_rivals(figures, points)
    add_speed(figures, quick=quick)
    return figures.finish()


if __name__ == "__main__":
    sys.exit(main())
