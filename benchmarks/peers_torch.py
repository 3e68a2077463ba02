"""torch.func as a contender: the functions of some problems in torch, and its transformations of them.

torch is optional. Its tensors are on the CPU, in float32, with torch's own number of threads, and
`torch.compile` is not used.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

if __package__:
    from benchmarks.peers import Contender, Ready, block_diagonal, check_size
    from benchmarks.problems import Problem
else:
    from peers import Contender, Ready, block_diagonal, check_size
    from problems import Problem

# given the module torch, and then the arguments of the problem's function
Function = Callable[..., Any]


def whole(name: str, function: Function) -> Contender:
    """`torch.func.jacfwd`, `jacrev`, `hessian` or `grad` of the whole function."""

    def prepare(problem: Problem) -> Ready:
        torch = importlib.import_module("torch")
        if name != "grad":
            check_size(problem)
        args = _tensors(torch, problem)
        derivative = getattr(torch.func, name)(lambda *xs: function(torch, *xs))
        return Ready(lambda: derivative(*args), dense=_array)

    return prepare


def by_hand(name: str, function: Function) -> Contender:
    """The derivative of one sample under `torch.func.vmap`; the first argument holds the samples."""

    def prepare(problem: Problem) -> Ready:
        torch = importlib.import_module("torch")
        args = _tensors(torch, problem)

        def one(x: Any, *rest: Any) -> Any:
            return function(torch, x[None], *rest)[0]

        axes = (0, *[None] * (len(args) - 1))
        derivative = torch.func.vmap(getattr(torch.func, name)(one), in_dims=axes)
        blocks = block_diagonal(problem)
        return Ready(lambda: derivative(*args), dense=lambda found: blocks(_array(found)))

    return prepare


def _tensors(torch: Any, problem: Problem) -> tuple[Any, ...]:
    """The arguments; what torch loads at its first derivative is loaded here, before it is timed."""
    for transformation in (torch.func.jacfwd, torch.func.jacrev):
        transformation(torch.sin)(torch.ones(2))
    return tuple(torch.from_numpy(np.array(x)) for x in problem.args)


def _array(tensor: Any) -> np.ndarray:
    return tensor.detach().numpy()


# ---- the functions, as in `problems` and `suite_networks`


def tridiagonal(torch: Any, x: Any) -> Any:
    padded = torch.nn.functional.pad(x, (1, 1))
    return padded[:-2] - 2 * x + padded[2:] + torch.sin(x) * x


def rosenbrock(torch: Any, x: Any) -> Any:
    return torch.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def mlp(torch: Any, x: Any, a: Any, b: Any, c: Any) -> Any:
    return torch.tanh(torch.tanh(x @ a) @ b) @ c


def dense(torch: Any, x: Any, matrix: Any) -> Any:
    return torch.tanh(matrix @ torch.tanh(matrix @ x))


def layers(torch: Any, x: Any, *matrices: Any) -> Any:
    for matrix in matrices:
        x = torch.tanh(x @ matrix)
    return x


def waves(torch: Any, x: Any) -> Any:
    return torch.sin(x) * torch.sum(x**2)


def logsumexp(torch: Any, x: Any) -> Any:
    return torch.logsumexp(torch.sin(x) * x, 0)
