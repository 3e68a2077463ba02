"""Text and JSON of derivatives that the commands seldom meet."""

import json
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

import jaxcalc
from jaxcalc.cli.output import array_text, as_json, by_name, plain, text


class Pair(NamedTuple):
    left: object
    right: object


def test_complex_numbers_are_pairs() -> None:
    assert plain(np.complex64(1 + 2j)) == {"real": 1.0, "imag": 2.0}
    assert plain(np.array([1j, complex(np.nan, np.inf)])) == [
        {"real": 0.0, "imag": 1.0},
        {"real": "nan", "imag": "inf"},
    ]


def test_a_large_array_is_printed_in_full() -> None:
    shown = array_text(np.arange(2000.0).reshape(2, 1000))
    assert "..." not in shown
    assert shown.count("\n") == 1
    assert array_text(np.zeros((0, 3))) == "[]"


def test_floats_are_printed_in_their_own_precision() -> None:
    assert array_text(np.array([0.1, 24.1], np.float32)) == "[0.1, 24.1]"
    assert array_text(jnp.bfloat16(0.1)) == "0.100098"


def test_json_is_one_line() -> None:
    line = as_json({"name": "f", "flag": True, "nothing": None, "pair": Pair(jnp.ones(2), "z")})
    assert json.loads(line) == {"name": "f", "flag": True, "nothing": None, "pair": [[1.0, 1.0], "z"]}


def test_arguments_and_outputs_that_are_pytrees() -> None:
    def f(p: dict, t: float) -> dict:
        return {"a": p["w"] ** 2 * t, "b": (t, p["w"][0])}

    arguments = ({"w": jnp.array([1.0, 2.0])}, 3.0)
    found = jaxcalc.jacobian(f, (0, 1))(*arguments)
    named = by_name(found, f(*arguments), arguments, ("p", "t"), 1)
    assert plain(named) == {
        "a": {"p": {"w": [[6.0, 0.0], [0.0, 12.0]]}, "t": [1.0, 4.0]},
        "b": [{"p": {"w": [0.0, 0.0]}, "t": 1.0}, {"p": {"w": [1.0, 0.0]}, "t": 0.0}],
    }
    assert text(named).splitlines()[-1] == "b [1] t  0.0"
