"""What notebooks show: small pieces of HTML in the colors of the page, without scripts."""

import re
import xml.etree.ElementTree as ET

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxcalc
from jaxcalc import descent, numerical
from tests.visual.examples import banded, explanation, of_mask

LARGEST = 30_000  # bytes


def safe_where(x):
    return jnp.sum(jnp.where(x > 0, jnp.sqrt(x), 0.0))


def by_leaves(x):
    return {"<b>sum</b>": jnp.sum(x["a"]), "rest": x["b"] ** 2}


TREE = {"a": jnp.ones(3), "b": jnp.ones(())}
POINT = jnp.array([0.0, 1.0, 4.0])
SHOWN = {
    "Jacobian": lambda: jaxcalc.jacobian(by_leaves, format="structured")(TREE),
    "SparsityPattern": lambda: banded(1000, 1, 1),
    "Explanation": lambda: explanation(30, fallbacks=["mystery (model.py:3)"]),
    "CheckReport": lambda: jaxcalc.check(by_leaves, TREE),
    "Diagnosis": lambda: jaxcalc.diagnose(safe_where, POINT),
    "Finding": lambda: jaxcalc.diagnose(safe_where, POINT).findings[0],
    "Kind": lambda: jaxcalc.classify(by_leaves, TREE),
    "Minimum": lambda: descent.minimize(safe_where, POINT, optimizer=0.1, steps=3),
    "Estimate": lambda: numerical.jacobian(by_leaves)(TREE),
    "DifferenceQuotients": lambda: numerical.difference_quotients(jnp.sin, 1.0),
}
SAYS = {
    "Jacobian": ["['a']: float32[3]", "2 x 4", "4 (50 %)"],
    "SparsityPattern": ["1,000 x 1,000", "tridiagonal"],
    "Explanation": ["structured, forward", "model.py:31", "mystery (model.py:3)"],
    "CheckReport": ["Jacobian", "passed", "forward against reverse"],
    "Diagnosis": ["1 error", "test_html.py", "sqrt has an infinite derivative", "jnp.where"],
    "Finding": ["error", "test_html.py", "sqrt has an infinite derivative", "jnp.where"],
    "Kind": ["Jacobian", "use jaxcalc.jacobian"],
    "Minimum": ["diverged", "jaxcalc.diagnose", "float32[3]"],
    "Estimate": ["['rest']['b']", "2", "error, at most"],
    "DifferenceQuotients": ["exact derivative: 0.5403", "0.539402", "1.0e-02"],
}


@pytest.mark.parametrize("name", SHOWN)
def test_html_of(name):
    shown = SHOWN[name]()
    assert type(shown).__name__ == name
    html = shown._repr_html_()
    assert len(html) < LARGEST
    tree = ET.fromstring(f"<div>{html}</div>")  # every tag is closed, every name is escaped
    text = " ".join(tree.itertext())
    for expected in SAYS[name]:
        assert expected in text
    assert {element.tag for element in tree.iter()} <= {
        *("div", "p", "strong", "ul", "li", "table", "caption", "tr", "th", "td"),
        *("svg", "g", "path"),
    }
    attributes = {key for element in tree.iter() for key in element.attrib}
    assert not [
        key for key in attributes if key.startswith("on") or key in {"href", "src", "class", "id"}
    ]
    # the colors are those of the page, light or dark: only grays of lines are set, half transparent
    colors = re.findall(r"(?:color|background|fill|stroke)[:=] *'?([^;'\"]*)", html)
    colors += re.findall(r"solid ([^;'\"]*)", html)
    assert {re.sub(r"rgba\(128,128,128,0.\d\)", "gray", color) for color in colors} <= {
        "currentColor",
        "gray",
    }


def test_patterns_are_pictures_of_even_shade():
    dense = ET.fromstring(of_mask(np.ones((64, 64)))._repr_html_()).find(".//svg")
    assert len(dense.findall(".//path")) == 1  # no lattice, where cells hold one row or two
    tall = ET.fromstring(of_mask(np.ones((100_000, 3)))._repr_html_()).find(".//svg")
    assert (tall.get("width"), tall.get("height")) == ("36", "144")
    assert tall.get("viewBox") == "0 0 3 48"


def test_tracers_have_no_numbers_to_show():
    shown = []

    @jax.jit
    def f(x):
        shown.append(numerical.derivative(jnp.sin)(x)._repr_html_())
        shown.append(numerical.difference_quotients(jnp.sin, x)._repr_html_())
        return x

    f(1.0)
    assert shown == [None, None]  # a notebook then shows the repr
