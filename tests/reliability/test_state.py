"""Nothing is left behind, and a call that comes again traces nothing."""

import jax
import jax.numpy as jnp
import pytest

import jaxcalc
from jaxcalc.call.request import Request
from tests.reliability.state import X, call_new_functions, state


@pytest.mark.parametrize(("sparse", "calls"), [(False, 120), (True, 30)], ids=["dense", "sparse"])
def test_new_functions_leave_nothing_behind(sparse, calls):
    call_new_functions(20, sparse=sparse)
    before = state()
    call_new_functions(calls, sparse=sparse)
    after = state()
    assert after.functions <= before.functions
    assert after.codes <= before.codes
    assert after.objects - before.objects < calls  # less than one object for each call


FORMATS = ["dense", "structured", "bcoo"]
TRANSFORMS = {
    "jacobian": lambda f, kind: jaxcalc.jacobian(f, format=kind),
    "value_and_jacobian": lambda f, kind: jaxcalc.value_and_jacobian(f, format=kind),
    "rows": lambda f, kind: jaxcalc.jacobian(f, format=kind, rows=[0]),
    "hessian": lambda f, kind: jaxcalc.hessian(lambda x: jnp.sum(f(x)), format=kind),
    "value_gradient_and_hessian": lambda f, kind: jaxcalc.value_gradient_and_hessian(
        lambda x: jnp.sum(f(x)), format=kind
    ),
}
WRAPS = {"direct": lambda f: f, "jit": jax.jit, "jit of vmap": lambda f: jax.jit(jax.vmap(f))}


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_call_that_comes_again_does_not_look_at_f(name, kind, wrap, calls_of):
    looks = calls_of(Request, "chosen")  # all that traces or runs f goes through it
    transformed = WRAPS[wrap](TRANSFORMS[name](lambda x: jnp.sin(x) * x, kind))
    x = X[None] if wrap == "jit of vmap" else X
    for _ in range(2):  # of functions with the same code, all but the first are compiled at this one
        jax.block_until_ready(transformed(x))
    seen = len(looks)
    assert seen
    jax.block_until_ready(transformed(2 * x))
    if wrap == "direct" and name == "value_gradient_and_hessian" and kind != "dense":
        assert len(looks) == seen + 1  # to put the gradient together; nothing is traced
    else:
        assert len(looks) == seen
