"""`descent.minimize` against the loops that users write with Optax: 1,000 steps, small networks.

- python: a Python loop around a jitted Optax step that keeps loss and gradient norm of every step;
- recorded: a jitted `lax.fori_loop` around Optax that keeps the same;
- bare: the same loop giving nothing but the final parameters, so that XLA drops the loss's value: it
  shows what recording costs;
- jaxopt, optimistix: their gradient descent with the same fixed step and no tolerance (sgd only);
- minimize: `jaxcalc.descent.minimize`, second call, from the user's arrays to a finished `Minimum`.

Targets: `minimize` takes at most a fifth of python, and at most 1.05 times recorded, which does the
same job. The exit status is 1 when one is missed. A call of `minimize` costs 0.15 to 0.3 ms apart from
its loop (checks, optimizer state, history): it shows in the smaller network, 3 us a step.

Run `python -m benchmarks.descent`, or `python benchmarks/descent.py`; `--json` for a machine.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import lax

from jaxcalc import descent

if __package__:
    from benchmarks import ratios
else:
    import ratios

STEPS = 1000
RATE = 0.05
TARGETS = (
    ratios.Target("minimize", "python", 1 / 5),
    ratios.Target("minimize", "recorded", 1.05),
)
NETWORKS = {"8-16-1, batch 32": (8, 16, 1, 32), "8-32-2, batch 32": (8, 32, 2, 32)}
OPTIMIZERS = {
    "sgd": lambda: optax.sgd(RATE),
    "momentum": lambda: optax.sgd(RATE, momentum=0.9),
    "adam": lambda: optax.adam(1e-2),
}


def network(inputs: int, hidden: int, outputs: int, batch: int) -> tuple[Any, Any, Any]:
    keys = jax.random.split(jax.random.key(0), 4)
    parameters = {
        "w": 0.3 * jax.random.normal(keys[0], (inputs, hidden)),
        "b": jnp.zeros(hidden),
        "v": 0.3 * jax.random.normal(keys[1], (hidden, outputs)),
        "c": jnp.zeros(outputs),
    }
    x = jax.random.normal(keys[2], (batch, inputs))
    return parameters, x, jnp.sin(x @ jax.random.normal(keys[3], (inputs, outputs)))


def loss(parameters: Any, x: Any, y: Any) -> Any:
    hidden = jnp.tanh(x @ parameters["w"] + parameters["b"])
    return jnp.mean((hidden @ parameters["v"] + parameters["c"] - y) ** 2)


Problem = tuple[Any, Any, Any]
Step = Callable[..., tuple[Any, Any, Any, Any]]


def optax_step(optimizer: Any) -> Step:
    def step(parameters: Any, state: Any, x: Any, y: Any) -> tuple[Any, Any, Any, Any]:
        value, gradients = jax.value_and_grad(loss)(parameters, x, y)
        changes, state = optimizer.update(gradients, state, parameters)
        return optax.apply_updates(parameters, changes), state, value, optax.tree.norm(gradients)

    return step


def python(problem: Problem, optimizer: Any) -> ratios.Run:
    start, x, y = problem
    step = jax.jit(optax_step(optimizer))

    def run() -> Any:
        parameters, state, record = start, optimizer.init(start), []
        for _ in range(STEPS):
            parameters, state, *figures = step(parameters, state, x, y)
            record.append(figures)
        return parameters, record

    return run


def bare(problem: Problem, optimizer: Any) -> ratios.Run:
    step = optax_step(optimizer)

    @jax.jit
    def loop(parameters: Any, x: Any, y: Any) -> Any:
        def body(_: Any, carry: Any) -> Any:
            return step(*carry, x, y)[:2]

        return lax.fori_loop(0, STEPS, body, (parameters, optimizer.init(parameters)))[0]

    return lambda: loop(*problem)


def recorded(problem: Problem, optimizer: Any) -> ratios.Run:
    step = optax_step(optimizer)

    @jax.jit
    def loop(parameters: Any, x: Any, y: Any) -> Any:
        def body(k: Any, carry: Any) -> Any:
            parameters, state, losses, norms = carry
            parameters, state, value, norm = step(parameters, state, x, y)
            return parameters, state, losses.at[k].set(value), norms.at[k].set(norm)

        zeros = jnp.zeros(STEPS)
        carry = (parameters, optimizer.init(parameters), zeros, zeros)
        parameters, _, losses, norms = lax.fori_loop(0, STEPS, body, carry)
        return parameters, losses, norms

    return lambda: loop(*problem)


def minimize(problem: Problem, optimizer: Any) -> ratios.Run:
    return lambda: descent.minimize(loss, *problem, optimizer=optimizer, steps=STEPS).parameters


def by_jaxopt(problem: Problem, _: Any) -> ratios.Run:
    """jaxopt's gradient descent: the step is fixed, and nothing stops it early."""
    jaxopt = importlib.import_module("jaxopt")
    options = {"stepsize": RATE, "maxiter": STEPS, "tol": 0.0, "acceleration": False}
    solver = jaxopt.GradientDescent(loss, **options)
    run = jax.jit(lambda *data: solver.run(*data).params)
    return lambda: run(*problem)


def by_optimistix(problem: Problem, _: Any) -> ratios.Run:
    """optimistix's gradient descent, which needs a tolerance: one that is never reached."""
    optimistix = importlib.import_module("optimistix")
    solver = optimistix.GradientDescent(RATE, rtol=0.0, atol=0.0)

    def objective(parameters: Any, data: Any) -> Any:
        return loss(parameters, *data)

    @jax.jit
    def run(start: Any, data: Any) -> Any:
        options = {"max_steps": STEPS + 1, "throw": False}  # the first one evaluates the loss alone
        return optimistix.minimise(objective, solver, start, data, **options).value

    return lambda: run(problem[0], problem[1:])


CONTENDERS = {"recorded": recorded, "bare": bare, "python": python, "minimize": minimize}


SGD_ONLY = {"jaxopt": by_jaxopt, "optimistix": by_optimistix}


def contenders(problem: Problem, method: str) -> dict[str, Callable[[], ratios.Run]]:
    everyone = CONTENDERS | (SGD_ONLY if method == "sgd" else {})
    optimizer = OPTIMIZERS[method]()
    return {name: partial(setup, problem, optimizer) for name, setup in everyone.items()}


def main() -> int:
    given = ratios.options(__doc__)
    tables = {
        f"{name}, {method}": ratios.measure(contenders(network(*sizes), method), rounds=given.rounds)
        for name, sizes in NETWORKS.items()
        for method in OPTIMIZERS
    }
    met = ratios.report(tables, "recorded", TARGETS, as_json=given.json)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
