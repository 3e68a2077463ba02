"""Random numbers drawn by a parameter, whose derivative is not that of the sample.

`jax.random.gamma` draws by rejection: for one key the sample jumps as its parameter grows, and what JAX
gives is the implicit derivative of the distribution (Figurnov et al., "Implicit Reparameterization
Gradients", 2018). `beta`, `dirichlet`, `t`, `loggamma` and `chisquare` are made of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from jax.extend.core import Jaxpr, JaxprEqn

from jaxcalc.engine.jaxprs import dataflow, equations

_DRAWS = frozenset({"random_gamma", "random_gamma_grad"})


def is_drawn(jaxpr: Jaxpr, number: int) -> bool:
    """Whether a program draws such numbers by a parameter that depends on its input of this number."""
    return _draws(jaxpr, [i == number for i in range(len(jaxpr.invars))])


def _draws(jaxpr: Jaxpr, active: Sequence[bool]) -> bool:
    found: list[bool] = []

    def of_equation(eqn: JaxprEqn, live: list[bool]) -> list[bool]:
        called = equations.called(eqn)
        inner = (
            [(called.jaxpr, live)]
            if called is not None
            else [
                (program, [equations.is_inexact(v.aval) for v in program.invars])
                for program in equations.programs(eqn)
            ]
        )
        found.append(eqn.primitive.name in _DRAWS or any(_draws(*each) for each in inner))
        return [equations.is_inexact(v.aval) for v in eqn.outvars]

    dataflow.forward(jaxpr, active, of_equation)
    return any(found)
