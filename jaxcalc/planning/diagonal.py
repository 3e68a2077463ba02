"""The diagonal of a Jacobian alone: from its structure where that is cheap, else by products."""

from __future__ import annotations

from typing import Any

import jax

from jaxcalc.call.options import Options
from jaxcalc.call.request import Request
from jaxcalc.call.symbolic import require_known_sizes
from jaxcalc.methods.base import Outcome
from jaxcalc.methods.failures import Failures
from jaxcalc.methods.problem import DirectProblem
from jaxcalc.planning.choose import diagonal_methods, prepare_diagonal


def require_alone(options: Options, rows: Any, columns: Any) -> None:
    """Refuse what says otherwise which entries are wanted, or in which form."""
    other = {"rows": rows is not None, "columns": columns is not None, "progress": options.progress}
    given = [f"{name}=" for name, on in other.items() if on]
    given += [f"format={options.format!r}"] if options.format != "dense" else []
    if given:
        raise ValueError(
            f"{options.api}: diagonal=True gives one array of the entries [p, p], and does not go with "
            f"{', '.join(given)}; leave one of them out."
        )


def evaluate_diagonal(request: Request, *, with_value: bool) -> Outcome:
    """Value, aux and `[min(M, N)]` the entries [p, p]."""
    require_known_sizes(request.options.api, "diagonal", request.call.traced)
    failures = Failures(request.options.api)
    prepared = failures.prepare(lambda: prepare_diagonal(request, with_value=with_value), None)
    if prepared is None:
        methods = diagonal_methods(DirectProblem(request, "jacobian", failures))
        found = failures.in_turn(lambda method: method.run(), methods)[1]
        failures.tell()
        return found
    need = with_value or request.options.has_aux
    run = prepared.derivative.diagonal(request.call.traced, with_value=need)
    value = jax.tree.unflatten(prepared.outputs.treedef, run.output) if need else None
    return Outcome(value, None, run.aux, run.values[0])
