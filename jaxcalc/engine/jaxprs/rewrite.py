"""A program evaluated anew with some of its equations replaced, those in its loops and calls too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from jax.extend import source_info_util
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from jaxcalc.engine.jaxprs import bodies, equations

Handler = Callable[[JaxprEqn, Sequence[Any]], Sequence[Any]]


class Rewriting:
    """Evaluates programs, with functions in the place of the primitives of some names.

    Calls, branches and loops that hold such a primitive are bound anew around a rewritten body; all
    other equations are bound as they are. A body is rewritten once, however often it is called.
    """

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers
        self._holds: dict[int, tuple[Jaxpr, bool]] = {}
        self._bodies: dict[int, tuple[ClosedJaxpr, ClosedJaxpr]] = {}

    def evaluate(self, closed: ClosedJaxpr, operands: Sequence[Any]) -> list[Any]:
        """The outputs of a program; each value is dropped after its last use."""
        jaxpr = closed.jaxpr
        environment: dict[Any, Any] = dict(zip(jaxpr.constvars, closed.consts, strict=True))
        environment.update(zip(jaxpr.invars, operands, strict=True))
        read_by = [*(v for eqn in jaxpr.eqns for v in eqn.invars), *jaxpr.outvars]
        uses = Counter(v for v in read_by if not isinstance(v, Literal))

        def read(v: Any) -> Any:
            return v.val if isinstance(v, Literal) else environment[v]

        for eqn in jaxpr.eqns:
            with source_info_util.user_context(eqn.source_info.traceback):  # errors name f's own line
                results = self._equation(eqn, [read(v) for v in eqn.invars])
            environment.update(zip(eqn.outvars, results, strict=True))
            known = [v for v in eqn.invars if not isinstance(v, Literal)]
            uses.subtract(known)
            for v in (*known, *eqn.outvars):
                if not uses[v]:
                    environment.pop(v, None)
        return [read(v) for v in jaxpr.outvars]

    def holds(self, jaxpr: Jaxpr) -> bool:
        """Whether anything in a program, or in what it calls, would be replaced."""
        if id(jaxpr) not in self._holds:
            found = any(
                eqn.primitive.name in self._handlers
                or any(self.holds(inner.jaxpr) for inner in bodies.bodies(eqn))
                for eqn in jaxpr.eqns
            )
            self._holds[id(jaxpr)] = (jaxpr, found)  # kept, so that its number stays its own
        return self._holds[id(jaxpr)][1]

    def _equation(self, eqn: JaxprEqn, operands: list[Any]) -> Sequence[Any]:
        handler = self._handlers.get(eqn.primitive.name)
        if handler is not None:
            return handler(eqn, operands)
        inner = bodies.bodies(eqn)
        if not any(self.holds(body.jaxpr) for body in inner):
            return equations.bind(eqn, operands)
        if eqn.primitive.name == "shard_map":
            mapped = bodies.shard_map(eqn)
            run = jax.shard_map(lambda *xs: tuple(self.evaluate(mapped.body, xs)), **mapped.options)
            return list(run(*operands))
        return equations.bind(bodies.with_bodies(eqn, [self._body(b) for b in inner]), operands)

    def _body(self, body: ClosedJaxpr) -> ClosedJaxpr:
        if not self.holds(body.jaxpr):
            return body
        number = id(body.jaxpr)
        if number not in self._bodies:
            new = jax.make_jaxpr(lambda *operands: self.evaluate(body, operands))(*body.in_avals)
            self._bodies[number] = (body, new)
        return self._bodies[number][1]
