# SPDX-License-Identifier: BSD-3-Clause
"""Accuracy, speed and memory of the log-masses: `python benchmarks/likelihood.py [--quick]`, on one thread.

Accuracy is judged against mpmath, for many more points against our own float64. Speed is that of value and
gradients in CPU time. Everyone, bulkdgd 2.0.1 in its own environment included (`_peer_venv.py`), has one turn
in each round, so that a busy machine slows all; a ratio is the median of those within the rounds, a time the
shortest. The quick run leaves out bulkdgd and the kernels of torch.compile, which take minutes to make.
"""

import argparse
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from _figures import Figures
from _likelihood_rivals import (
    FORMULAS,
    PEER_ACCURACY,
    PEER_SPEED,
    POISSON_FORMULAS,
    poisson_by_lgamma,
    scipy_logpmf,
    scvi_formula,
    three_lgammas,
    torch_distributions,
    torch_poisson,
)
from _likelihood_truth import Point, Truth, dense_points, error, random_points
from _peer_turns import PeerTurns
from _peer_venv import run_peer
from pydgd.core.distributions import (
    log_factorial,
    nb_constants,
    nb_log_mass,
    nb_nll,
    poisson_log_mass,
    poisson_nll,
)

N_SAMPLES, GENES = 256, 15_000

# Resident memory at the peak of one pass minus that before it, gradients included, in copies of the batch.
MEMORY_SCRIPT = """
import ctypes, re, sys
from pathlib import Path
import torch
from pydgd.core.distributions import log_factorial, nb_nll
from pydgd.core.outputmodules import OutputModuleNBFeatureDispersion
torch.set_num_threads(1)
k, mu, log_r = torch.load(sys.argv[1])
form = sys.argv[2]
weights = torch.linspace(0.5, 2.0, len(k), dtype=torch.float64)
module = OutputModuleNBFeatureDispersion(1, k.shape[1], 2.0)
module.log_r.data.copy_(log_r)
log_r.requires_grad_()
def run(k, mu):
    factorials = log_factorials[:len(k)]
    if form == "module":
        nll = module.nll(k, mu, torch.full((len(k),), 1.0), log_factorial=factorials)
    else:
        nll = nb_nll(k, mu, log_r, log_factorial=factorials)
    {"sum": nll.sum, "weights": (nll * weights[:len(k)]).sum}.get(form, nll.mean)().backward()
def megabytes(name):
    return int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024
log_factorials = log_factorial(k).sum(-1)
run(k[:8], mu[:8].clone().requires_grad_())
log_r.grad = module.log_r.grad = None
mu.requires_grad_()
ctypes.CDLL("libc.so.6").malloc_trim(0)
Path("/proc/self/clear_refs").write_text("5")
before = megabytes("VmRSS")
run(k, mu)
print((megabytes("VmHWM") - before) / (4 * k.numel() / 2**20))
"""


def add_accuracy(figures: Figures, points: list[Point], *, quick: bool) -> None:
    """Ours on the whole range, in each form and dtype."""
    figures.add("accuracy: random points, k to 1e8, m 1e-8..1e8, r 1e-30..1e30", len(points))
    for dtype, value_bound, scale, slope_bound in (
        (torch.float64, 1e-12, 1.0, 1e-10),
        (torch.float32, 2e-4, 100.0, 1e-4),
    ):
        name = str(dtype).removeprefix("torch.")
        truth = Truth(points, dtype)
        m, log_r = truth.m.requires_grad_(), truth.log_r.requires_grad_()
        value_text = f"<= {value_bound:g} max(1, |ln f|{'' if scale == 1 else ' / 100'})"
        slope_text = f"<= {slope_bound:g} max(1, |it|)"
        for what, value in forms(truth.k, m, log_r, compiled=not quick).items():
            poisson = what.startswith("poisson")
            exact = truth.exact.poisson if poisson else truth.exact.nb
            found = error(value, exact, scale)
            figures.add(f"{what}, {name}", found, value_text, found <= value_bound)
            inputs = (m, log_r) if what.startswith("nb") and "frozen" not in what else (m,)
            grads = torch.autograd.grad(value.sum(), inputs)
            to_log_m = truth.exact.poisson_to_log_m if poisson else truth.exact.to_log_m
            found = error(grads[0].double() * m.detach().double(), to_log_m)
            figures.add(f"{what}, {name}, gradient in ln m", found, slope_text, found <= slope_bound)
            if len(grads) == 2:
                found = error(grads[1], truth.exact.to_log_r)
                figures.add(f"{what}, {name}, gradient in ln r", found, slope_text, found <= slope_bound)


def forms(k: Tensor, m: Tensor, log_r: Tensor, *, compiled: bool) -> dict[str, Tensor]:
    """Log-mass of each point by every path there is; sums are of one gene."""
    k, m, log_r = (tensor.reshape(-1, 1) for tensor in (k, m, log_r))
    fixed = log_r.detach()
    constants = nb_constants(k, fixed)
    found = {
        "nb_log_mass": nb_log_mass(k, m, log_r)[:, 0],
        "nb_nll": -nb_nll(k, m, log_r),
        "nb_nll, frozen": -nb_nll(k, m, fixed, constants=constants),
        "poisson_log_mass": poisson_log_mass(k, m)[:, 0],
        "poisson_nll": -poisson_nll(k, m),
    }
    if compiled:
        found["nb_nll, compiled"] = -nb_nll(k, m, log_r, compiled=True)
        found["nb_nll, frozen, compiled"] = -nb_nll(k, m, fixed, constants=constants, compiled=True)
        found["poisson_nll, compiled"] = -poisson_nll(k, m, compiled=True)
    return found


def add_dense_accuracy(figures: Figures, n: int, *, quick: bool) -> None:
    """Float32 against our float64, which the points above have judged, where terms of 1e8 nats cancel."""
    k, m, log_r = dense_points(n)
    double = forms(k, m.double(), log_r.double(), compiled=False)
    for what, value in forms(k, m, log_r, compiled=not quick).items():
        exact = double[what.removesuffix(", compiled")]
        found = ((value - exact).abs() / (exact.abs() / 100).clamp(min=1.0)).max().item()
        row = f"{what}, float32 against float64, {n:,} points near the mean"
        figures.add(row, found, "<= 0.0002 max(1, |ln f| / 100)", found <= 2e-4)


def add_finiteness(figures: Figures, *, quick: bool) -> None:
    """Values and gradients that are NaN, infinite or probabilities above 1, over the whole hostile grid."""
    counts = [0.0, 1.0, 2.0, 5.0, 1e3, 1e6, 1e8]
    means = [0.0, 1e-30, 1e-25, 1e-20, 1e-15, 1e-8, 1e-3, 1.0, 1e4, 1e8, 1e12, 1e20, 1e30]
    log_rs = [-1000.0, -104.0, -69.1, -66.0, -20.0, 0.0, 5.0, 20.0, 25.0, 46.0, 69.1, 89.0, 1000.0]
    for dtype in (torch.float32, torch.float64):
        axes = (torch.tensor(axis, dtype=dtype) for axis in (counts, means, log_rs))
        k, m, log_r = (tensor.reshape(-1) for tensor in torch.meshgrid(*axes, indexing="ij"))
        m, log_r = m.requires_grad_(), log_r.requires_grad_()
        for what, value in forms(k, m, log_r, compiled=not quick).items():
            grads = torch.autograd.grad(value.sum(), (m, log_r), allow_unused=True)
            bad = int((~value.isfinite() | (value > 2e-6)).sum())
            bad += sum(int((~grad.isfinite()).sum()) for grad in grads if grad is not None)
            name = str(dtype).removeprefix("torch.")
            row = f"{what}, {name}: NaN, infinities, masses above 1; m 0 and 1e-30..1e30, ln r -1000..1000"
            figures.add(row, bad, "0", bad == 0)


def add_rivals(figures: Figures, points: list[Point], *, quick: bool) -> None:
    """For comparison, the errors of others where m is 1e-3..1e6 and r 1e-3..1e9."""
    mild = [p for p in points if 1e-3 <= p[1] <= 1e6 and abs(p[2] - math.log(1e3)) <= math.log(1e6)]
    for dtype in (torch.float32, torch.float64):
        truth = Truth(mild, dtype)
        data = truth.k, truth.m, truth.log_r.double().exp().to(dtype)
        found = {formula.__name__: (formula(*data), truth.exact.nb) for formula in FORMULAS}
        found |= {formula.__name__: (formula(*data[:2]), truth.exact.poisson) for formula in POISSON_FORMULAS}
        if not quick:
            nb, poisson = peer_masses(*data)
            found["bulkdgd 2.0.1, its module"] = nb, truth.exact.nb
            found["bulkdgd 2.0.1, its Poisson module"] = poisson, truth.exact.poisson
        for name, (value, exact) in found.items():
            row = f"for comparison: {name}, {str(dtype).removeprefix('torch.')}, m 1e-3..1e6, r 1e-3..1e9"
            figures.add(row, error(value, exact, 100.0), "in units of max(1, |ln f| / 100)")


def peer_masses(k: Tensor, m: Tensor, r: Tensor) -> tuple[Tensor, Tensor]:
    """Negative binomial and Poisson log-masses by bulkdgd itself."""
    with tempfile.TemporaryDirectory() as folder:
        given, taken = str(Path(folder) / "points.pt"), str(Path(folder) / "masses.pt")
        torch.save((k, m, r), given)
        run_peer(PEER_ACCURACY, given, taken)
        nb, poisson = torch.load(taken)
        return nb, poisson


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


def timed(function: Callable[[], object]) -> Callable[[], float]:
    """CPU seconds of one call."""

    def seconds() -> float:
        start = time.process_time()
        function()
        return time.process_time() - start

    return seconds


def contestants(k: Tensor, mu: Tensor, log_r: Tensor, *, quick: bool) -> dict[str, Callable[[], float]]:
    """Value and gradients by each way there is; those of `nb_nll` and its rivals in m and r unless said."""
    factorials, constants = log_factorial(k).sum(-1), nb_constants(k, log_r)
    m, trained = mu.clone().requires_grad_(), log_r.clone().requires_grad_()
    each_r = log_r.expand_as(mu).clone().requires_grad_()

    def both(value: Tensor, r: Tensor = trained) -> None:
        torch.autograd.grad(value.sum(), (m, r))

    def mean_only(value: Tensor) -> None:
        torch.autograd.grad(value.sum(), m)

    functions = {
        "nb_nll": lambda: both(nb_nll(k, m, trained, log_factorial=factorials)),
        "nb_nll, ln k! not given": lambda: both(nb_nll(k, m, trained)),
        "nb_nll, r per element": lambda: both(nb_nll(k, m, each_r, log_factorial=factorials), each_r),
        "nb_nll, frozen": lambda: mean_only(nb_nll(k, m, log_r, constants=constants)),
        "nb_log_mass": lambda: both(nb_log_mass(k, m, trained)),
        "poisson_nll": lambda: mean_only(poisson_nll(k, m, log_factorial=factorials)),
        "three lgammas": lambda: both(three_lgammas(k, m, trained.exp())),
        "three lgammas, gradient in m only": lambda: mean_only(three_lgammas(k, m, log_r.exp())),
        "three lgammas, r per element": lambda: both(three_lgammas(k, m, each_r.exp()), each_r),
        "torch.distributions": lambda: both(torch_distributions(k, m, trained.exp())),
        "torch.distributions, Poisson": lambda: mean_only(torch_poisson(k, m)),
        "lgamma, Poisson": lambda: mean_only(poisson_by_lgamma(k, m)),
        "scvi formula": lambda: both(scvi_formula(k, m, trained.exp())),
        "scipy, value without gradients": lambda: scipy_logpmf(k[:32], mu[:32], log_r.exp()),
    }
    if not quick:
        functions |= {
            "nb_nll, compiled": lambda: both(nb_nll(k, m, trained, compiled=True)),
            "nb_nll, frozen, compiled": lambda: mean_only(
                nb_nll(k, m, log_r, constants=constants, compiled=True)
            ),
            "poisson_nll, compiled": lambda: mean_only(poisson_nll(k, m, compiled=True)),
        }
    return {name: timed(function) for name, function in functions.items()}


def take_turns(functions: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each in every round but the first, in which kernels are made and memory is found."""
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(rounds + 1):
        for name, function in functions.items():
            seconds = function()
            if turn:
                times[name].append(seconds)
    return times


def add_speed(figures: Figures, *, quick: bool) -> None:
    """Times per element, and how many times faster ours are than the peer and its formula."""
    data = simulated(N_SAMPLES)
    functions = contestants(*data, quick=quick)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "batch.pt")
        torch.save(data, path)
        if quick:
            times = take_turns(functions, 3)
        else:
            add_memory(figures, path)
            with PeerTurns(PEER_SPEED, path) as peer:
                functions["bulkdgd 2.0.1"] = lambda: peer.ask("both")["seconds"]
                functions["bulkdgd 2.0.1, gradient in m only"] = lambda: peer.ask("mean only")["seconds"]
                functions["bulkdgd 2.0.1, Poisson"] = lambda: peer.ask("poisson")["seconds"]
                times = take_turns(functions, 12)
    for name, seconds in times.items():
        n = 32 if name.startswith("scipy") else N_SAMPLES
        row = f"{name}, {n} x {GENES:,}, float32, value and gradients, ns per element"
        figures.add(
            row.replace("value and gradients, ns", "ns") if n == 32 else row, min(seconds) / n / GENES * 1e9
        )
    add_ratios(figures, times)


def add_ratios(figures: Figures, times: dict[str, list[float]]) -> None:
    """Medians over the rounds; what is asked is asked against bulkdgd, or its formula in the quick run."""
    peer = "bulkdgd 2.0.1" if "bulkdgd 2.0.1" in times else "three lgammas"
    both, mean_only = "gradients in m and r on both sides", "gradient in m only on both sides"
    for ours, rival, how, least in (
        ("nb_nll", peer, both, 2.5),
        ("nb_nll, compiled", peer, both, 5.0),
        ("nb_log_mass", peer, f"{both}, not summed", None),
        ("nb_nll, r per element", "three lgammas, r per element", both, None),
        ("nb_nll, frozen, compiled", f"{peer}, gradient in m only", mean_only, 10.0),
        ("nb_nll, frozen", f"{peer}, gradient in m only", mean_only, None),
        ("nb_nll, frozen", peer, "as its search runs it, with gradients in m and r", 10.0),
        ("nb_nll, frozen, compiled", peer, "as its search runs it, with gradients in m and r", None),
        ("poisson_nll", "bulkdgd 2.0.1, Poisson", "gradient in m", None),
        ("poisson_nll, compiled", "bulkdgd 2.0.1, Poisson", "gradient in m", None),
    ):
        if ours not in times or rival not in times:
            continue
        ratio = statistics.median(b / a for a, b in zip(times[ours], times[rival], strict=True))
        name = rival.removesuffix(", gradient in m only")
        must = "" if least is None else f">= {least:g}"
        met = None if least is None else ratio >= least
        figures.add(f"{ours}: times faster than {name}, {how}", ratio, must, met)


def add_memory(figures: Figures, path: str) -> None:
    """Peak of one pass, forward and backward, each in a new process."""
    for form, what in (
        ("sum", "nb_nll(...).sum()"),
        ("mean", "nb_nll(...).mean()"),
        ("weights", "(nb_nll(...) * weights).sum()"),
        ("module", "OutputModuleNBFeatureDispersion.nll(...).mean(), from means and scaling factors"),
    ):
        command = [sys.executable, "-c", MEMORY_SCRIPT, path, form]
        copies = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        figures.add(f"{what}: peak extra memory in copies of the batch", copies, "<= 2", copies <= 2)


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
    add_dense_accuracy(figures, 100_000 if quick else 1_000_000, quick=quick)
    add_finiteness(figures, quick=quick)
    add_rivals(figures, points, quick=quick)
    add_speed(figures, quick=quick)
    return figures.finish()


if __name__ == "__main__":
    sys.exit(main())
