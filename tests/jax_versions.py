"""Parts of JAX that tests use, and that not every version in the range has under the same name."""

import importlib.util
import inspect
from collections.abc import Callable

import jax
from jax.experimental import compute_on


def on_host() -> dict[str, Callable[..., Callable[..., jax.Array]]]:
    """The call that runs a function on the host, for a case named by its primitive; none in JAX 0.9.

    JAX 0.10 has it beside a context manager of the older name, which it has taken since JAX 0.11.2.
    """
    made = getattr(compute_on, "compute_on2", compute_on.compute_on)
    if "out_memory_spaces" not in inspect.signature(made).parameters:
        return {}
    space = jax.memory.Space.Device
    return {"compute_on": lambda f: made(f, compute_type="device_host", out_memory_spaces=space)}


def alike() -> dict[str, Callable[..., tuple[jax.Array, jax.Array]]]:
    """`shard_alike`, for a case named by its primitive; none where JAX has dropped it, as 0.12 has."""
    if importlib.util.find_spec("jax.experimental.shard_alike") is None:
        return {}
    return {"shard_alike": importlib.import_module("jax.experimental.shard_alike").shard_alike}
