"""An explanation as a diagram: its nodes, its arrows, the direction of them, and what is marked."""

import re

import jax
import jax.numpy as jnp
import pytest

import jaxcalc
from jaxcalc import visual

X = jnp.ones(50)


def nodes(text):
    return dict(re.findall(r'^(\w+)\(?\["(.*)"\]\)?$', text, re.M))


def arrows(text):
    return re.findall(r'^(\w+) -->\|"(.*)"\| (\w+)$', text, re.M)


def stencil(x):
    y = jnp.sin(x[1:])
    return y * x[:-1]


def test_lines_run_from_the_input_to_the_output():
    text = jaxcalc.explain(stencil, X, mode="forward").to_mermaid()
    assert text.startswith('flowchart TB\nsubgraph f["lines of f"]\ndirection TB\n')
    found = nodes(text)
    assert found["s0"] == "float32[50]<br/>input"
    assert found["s3"] == "float32[49]<br/>output"
    assert re.fullmatch(r"test_mermaid.py:\d+<br/>.*slice.*", found["s1"])
    (first, second, third) = arrows(text)
    assert first == ("s0", "1 lane", "s1")
    assert second[::2] == ("s1", "s2")
    assert third == ("s2", "2 lanes, 98 entries", "s3")
    assert found["m0"].startswith("structured, forward<br/>2 lanes, ")
    assert "\nclass m0 chosen" in text


def test_the_arrows_of_reverse_mode_go_up():
    text = jaxcalc.explain(stencil, X, mode="reverse").to_mermaid()
    assert "direction BT" in text
    assert arrows(text)[-1] == ("s3", "1 lane", "s2")
    assert nodes(text)["s0"].endswith("input")


def test_what_is_not_possible_and_what_is_dense_is_marked():
    def f(x):
        order = jnp.argsort(x)
        return jax.nn.softmax(x)[order]

    text = jaxcalc.explain(f, X, mode="forward").to_mermaid()
    marked = re.search(r"^class (\S+) impossible$", text, re.M)
    assert marked is not None
    for node in marked[1].split(","):
        assert "not possible: mode='forward' was asked for" in nodes(text)[node]


def test_parts_that_are_multiplied():
    w = jnp.ones((50, 2)) / 50
    found = jaxcalc.explain(lambda x: jnp.tanh(jnp.tanh(x @ w) @ w.T), X, format="dense")
    assert "parts" in found.chosen.name
    text = found.to_mermaid()
    assert 'subgraph f["parts of f, to be multiplied"]' in text
    assert [leaving for _, leaving, _ in arrows(text)] == ["50 numbers", "2 numbers", "50 numbers"]


def test_what_mermaid_would_read_is_escaped():
    def f(p):
        return p['a "quoted" #1 <key>'] ** 2

    text = jaxcalc.explain(f, {'a "quoted" #1 <key>': X}).to_mermaid()
    for line in text.splitlines():
        assert line.count('"') in (0, 2), line
    quoted = re.findall(r'"(.*)"', text)
    assert not any(re.search(r"[<>]", part.replace("<br/>", "")) for part in quoted)


@pytest.mark.parametrize("order", [1, 2])
def test_names_that_go_warn_once_more(order):
    found = jaxcalc.explain(lambda x: jnp.sum(x**3), X, order=order)
    with pytest.warns(DeprecationWarning, match="Explanation: ways is deprecated .* use methods"):
        assert found.ways == found.methods
    assert found.to_dict()["ways"] == found.to_dict()["methods"]
    with pytest.warns(DeprecationWarning, match=r"plan_graph is deprecated .*to_mermaid") as caught:
        visual.plan_graph(found)
    assert caught[0].filename == __file__
