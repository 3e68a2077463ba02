"""Graph networks of jraph: messages along edges."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxcalc
from tests.ecosystem.packages import package

jraph = package("jraph")

SENDERS, RECEIVERS = np.array([0, 1, 2, 3, 0]), np.array([1, 2, 3, 4, 4])


def graph(nodes):
    return jraph.GraphsTuple(
        nodes=nodes, edges=None, globals=None, n_node=np.array([5]), n_edge=np.array([5]),
        senders=SENDERS, receivers=RECEIVERS,
    )  # fmt: skip


def test_jacobian_of_one_round_of_messages():
    """A node depends on itself and on who sends to it."""

    def layer(nodes):
        message = jnp.tanh(nodes[SENDERS] * 0.5)
        return nodes + jax.ops.segment_sum(message, RECEIVERS, 5)

    def by_jraph(nodes):
        network = jraph.GraphNetwork(
            update_edge_fn=lambda edges, sent, received, _: jnp.tanh(sent * 0.5),
            update_node_fn=lambda nodes, sent, received, _: nodes + received,
        )
        given = graph(nodes)._replace(edges=jnp.zeros((5, 1)), globals=jnp.zeros((1, 1)))
        return network(given).nodes

    nodes = jnp.asarray(np.random.default_rng(0).normal(size=(5, 1)))
    J = jaxcalc.jacobian(by_jraph, format="structured")(nodes)
    np.testing.assert_allclose(J.todense(), jax.jacfwd(layer)(nodes), atol=1e-12)
    assert J.nnz == 5 + 5


def test_gradient_of_a_loss_of_a_graph_convolution():
    nodes = jnp.asarray(np.random.default_rng(0).normal(size=(5, 2)))

    def loss(weights):
        layer = jraph.GraphConvolution(lambda n: jnp.tanh(n @ weights), add_self_edges=True)
        return jnp.sum(layer(graph(nodes)).nodes ** 2)

    weights = jnp.array([[0.3, -0.2], [0.5, 0.8]])
    found = jax.jit(jaxcalc.gradient(loss))(weights)
    np.testing.assert_allclose(found, jax.jit(jax.jacfwd(loss))(weights), atol=1e-12)
    found, right = jax.jit(jaxcalc.hessian(loss))(weights), jax.jit(jax.hessian(loss))(weights)
    np.testing.assert_allclose(found, right, atol=1e-11)
