"""Random numbers drawn by a parameter, whose derivative is not that of the sample.

`jax.random.gamma` draws by rejection: for one key the sample jumps as its parameter grows, and what JAX
gives is the implicit derivative of the distribution (Figurnov et al., "Implicit Reparameterization
Gradients", 2018). `beta`, `dirichlet`, `t`, `loggamma` and `chisquare` are made of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from jax.extend.core import Jaxpr, Var

from jaxcalc.engine.jaxprs import equations

_DRAWS = frozenset({"random_gamma", "random_gamma_grad"})


def is_drawn(jaxpr: Jaxpr, number: int) -> bool:
    """Whether a program draws such numbers by a parameter that depends on its input of this number."""
    return _draws(jaxpr, [i == number for i in range(len(jaxpr.invars))])


def _draws(jaxpr: Jaxpr, active: Sequence[bool]) -> bool:
    moving = {v for v, on in zip(jaxpr.invars, active, strict=True) if on}
    for eqn in jaxpr.eqns:
        live = [isinstance(v, Var) and v in moving for v in eqn.invars]
        if not any(live):
            continue
        called = equations.called(eqn)
        if eqn.primitive.name in _DRAWS or (called is not None and _draws(called.jaxpr, live)):
            return True
        for program in equations.programs(eqn) if called is None else ():
            if _draws(program, [equations.is_inexact(v.aval) for v in program.invars]):
                return True
        moving.update(v for v in eqn.outvars if equations.is_inexact(v.aval))
    return False
