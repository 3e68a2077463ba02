"""What the measurements rest on: turns, growth, blame for failures, errors that are seen."""

import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import peers, peers_numerical, problems, ratios, runner, sweep_worker, sweeps
from benchmarks.preparing import one_line


def test_growth_is_the_exponent_over_the_largest_sizes():
    sizes = [10, 100, 1000, 10_000]
    assert ratios.growth(sizes, [7.0, *(3 * n**1.5 for n in sizes[1:])]) == pytest.approx(1.5)
    assert ratios.growth(sizes[:2], [1.0, 2.0]) is None


def test_runs_take_turns_and_a_budget_ends_them_after_three():
    seen = []
    contenders = {name: lambda name=name: lambda: seen.append(name) for name in "ab"}
    timings = ratios.measure(contenders, rounds=50, budget=0.0)
    assert [len(t.runs) for t in timings.values()] == [3, 3]
    rounds = [set(seen[k : k + 2]) for k in range(len(seen) - 6, len(seen), 2)]
    assert rounds == [{"a", "b"}] * 3


def test_short_runs_are_repeated_within_a_turn():
    count = 0

    def run():
        nonlocal count
        count += 1

    timing = ratios.timed({"short": run}, 3)["short"]
    assert count > 100
    assert timing.median < ratios.TURN / 10


@pytest.mark.parametrize("contender", ["jaxcalc", "jaxcalc in jit", "jax.jacfwd", "jax.jacrev"])
def test_results_are_compared_entry_by_entry(contender):
    case = sweeps.CASES["tridiagonal"]
    problem = case.make(9)
    ready = case.contenders[contender](problem)
    result = ready.run()
    assert case.error(problem, ready, result) < 1e-6
    assert case.error(problem, ready, result + 0.01) > 1e-3


@pytest.mark.parametrize("name", ["vmap(jacfwd)", "vmap(jacrev)"])
def test_blocks_of_samples_are_placed_on_the_diagonal(name):
    case = sweeps.CASES["mlp"]
    problem = case.make(3)
    ready = case.contenders[name](problem)
    assert case.error(problem, ready, ready.run()) < 1e-5


def test_diagonals_by_hand_are_the_derivative():
    case = sweeps.CASES["heat-plane"]
    problem = case.make(5)
    ready = case.contenders["by hand"](problem)
    assert case.error(problem, ready, ready.run()) < 1e-6


def test_a_dense_derivative_that_does_not_fit_is_not_tried():
    problem = problems.tridiagonal(100_000)
    with pytest.raises(peers.TooLargeError, match="not run: needs 40 GB"):
        peers.jax_whole("jacfwd")(problem)


def test_functions_in_torch_are_those_in_jax():
    torch = pytest.importorskip("torch")
    from benchmarks import peers_torch

    pairs = [
        (peers_torch.tridiagonal, problems.tridiagonal(7)),
        (peers_torch.rosenbrock, problems.rosenbrock(7)),
        (peers_torch.mlp, problems.mlp(2)),
        (peers_torch.dense, problems.dense(7)),
        (peers_torch.layers, sweeps.CASES["bottleneck"].make(12)),
        (peers_torch.waves, problems.waves(7)),
        (peers_torch.logsumexp, problems.logsumexp(7)),
    ]
    for function, problem in pairs:
        got = function(torch, *(torch.from_numpy(np.array(x)) for x in problem.args))
        np.testing.assert_allclose(got.numpy(), problem.f(*problem.args), rtol=1e-5, atol=1e-5)


def test_numerical_functions_work_along_further_axes():
    point = peers_numerical.vector(3)
    many = np.stack([point.x, point.x + 0.1], axis=1)
    columns = [point.in_numpy(many[:, k]) for k in range(2)]
    np.testing.assert_allclose(point.in_numpy(many), np.stack(columns, axis=1))


def test_a_process_that_dies_is_put_down_to_the_contender_in_hand(tmp_path):
    path = tmp_path / "figures.json"
    measurements = {"f": {"8": {"run_seconds": 1.0}}, "asdex": {}, "folx": {}}
    doing = {"name": "asdex", "size": "8", "since": 0.0}
    data = {"contenders": list(measurements), "measurements": measurements, "doing": doing}
    path.write_text(json.dumps(data), "utf-8")
    failure = runner._watched([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], path)
    assert failure == "the process ended with SIGKILL"
    assert runner._blame(data, failure)
    assert data["measurements"]["asdex"] == {"8": {"error": failure}}
    assert data["measurements"]["folx"] == {}
    assert not runner._blame(data, failure)


def test_a_process_that_hangs_is_stopped(tmp_path, monkeypatch):
    path = tmp_path / "figures.json"
    doing = {"name": "asdex", "size": "8", "since": 0.0}
    path.write_text(json.dumps({"contenders": ["asdex"], "doing": doing}), "utf-8")
    monkeypatch.setattr(runner, "STOP_AFTER", 0.3)
    failure = runner._watched([sys.executable, "-c", "import time; time.sleep(60)"], path)
    assert failure is not None
    assert failure.startswith("stopped after")


def test_a_contender_that_failed_leaves_the_others_their_figures(tmp_path, monkeypatch):
    def broken(_):
        raise ValueError("in /some/folder/of/mine: no\nmore")

    square = problems.Problem(lambda x: x**2, (jnp.ones(3),))
    contenders = {"f": peers.evaluation, "broken": broken, "jax.jacfwd": peers.jax_whole("jacfwd")}
    case = sweeps.Sweep("squares", lambda _: square, (3,), contenders)
    path = tmp_path / "figures.json"
    empty = {"measurements": {name: {} for name in contenders}, "accuracy": {}}
    path.write_text(json.dumps(empty), "utf-8")
    notes = sweep_worker.Notebook(path)
    monkeypatch.setattr(jax, "clear_caches", lambda: None)
    sweep_worker.measure_size(case, 3, notes, sweep_worker.QUICK, check=True)
    kept = json.loads(path.read_text("utf-8"))["measurements"]
    assert kept["broken"]["3"] == {"error": "ValueError: in (path): no"}
    assert kept["jax.jacfwd"]["3"]["ratio"] > 0
    assert kept["f"]["3"]["run_seconds"] > 0


def test_what_was_slow_or_stopped_is_left_out_at_the_next_size():
    effort = sweep_worker.FULL
    assert (
        sweep_worker.left_out({"8": {"run_seconds": 1e-3, "first_call_seconds": 1.0}}, effort) is None
    )
    slow = sweep_worker.left_out({"8": {"run_seconds": 30.0}}, effort)
    assert slow == "not run: a run took 30 s at 8"
    late = {"8": {"setup_seconds": 20.0, "first_call_seconds": 5.0}}
    assert sweep_worker.left_out(late, effort) == "not run: set-up and first call took 25 s at 8"
    assert "failed at 8" in str(sweep_worker.left_out({"8": {"error": "stopped after 40 s"}}, effort))


def test_a_run_that_is_too_long_is_timed_once(tmp_path):
    def sleeping(_):
        return peers.Ready(lambda: time.sleep(0.6))

    square = problems.Problem(lambda x: x**2, (jnp.ones(3),))
    contenders = {"f": peers.evaluation, "sleeping": sleeping}
    case = sweeps.Sweep("squares", lambda _: square, (3,), contenders)
    path = tmp_path / "figures.json"
    empty = {"measurements": {name: {} for name in contenders}, "accuracy": {}}
    path.write_text(json.dumps(empty), "utf-8")
    sweep_worker.measure_size(case, 3, sweep_worker.Notebook(path), sweep_worker.QUICK, check=False)
    kept = json.loads(path.read_text("utf-8"))["measurements"]
    assert kept["f"]["3"]["rounds"] == 3
    assert kept["sleeping"]["3"]["rounds"] == 1
    assert kept["sleeping"]["3"]["ratio"] > 1


@pytest.mark.parametrize("name", ["asdex", "sparsejac"])
def test_peers_of_vectors_are_given_tensors_as_vectors(name):
    pytest.importorskip(name)
    case = sweeps.CASES["heat-plane"]
    problem = case.make(5)
    ready = case.contenders[name](problem)
    assert case.error(problem, ready, ready.run()) < 1e-6


def test_what_is_not_installed_is_said_in_two_words():
    assert one_line(ModuleNotFoundError("No module named 'torch'")) == "not installed"
