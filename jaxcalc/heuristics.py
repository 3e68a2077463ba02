"""Every number that a decision hangs on, with its unit: one object, and one place to change it.

They decide what a derivative costs, never what it is. The prices were measured on CPUs, with
`python -m benchmarks.calibration`; the other numbers are where one path became faster than another in
`benchmarks`, or bounds of what a program may hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Prices:
    """Nanoseconds for one of what the name says, inside of a compiled program on a CPU."""

    traffic: float = 0.15  # an element written to memory and read again
    element: float = 0.02  # a sum or a product of an element, in a loop that the compiler vectorizes
    copied: float = 0.15  # the same for many tangents at once: their coefficient is often computed anew
    move: float = 0.1  # an element whose place has to be worked out
    gather: float = 1.0  # an element looked up by an index
    scatter: float = 4.0  # an element written by an index
    running_sum: float = 4.0  # an element of a cumulative sum
    comparison: float = 20.0  # an element of a sort
    multiply_add: float = 0.0125  # inside a large matrix product,
    short_product: float = 15.0  # and more, by the square of how many it sums, in one of short vectors,
    shortest_product: float = 0.5  # up to this
    tap: float = 0.6  # a multiply-add inside a convolution
    cubic: float = 0.3  # n^3 of a factorization
    kernel: float = 300.0  # starting an operation that cannot be fused
    fused_kernel: float = 50.0  # starting a loop of fused operations, which ends in a written array
    operation: float = 5.0  # any one in it
    unknown_length: int = 10  # steps, not nanoseconds: of a loop that values decide
    branch: float = 30_000.0  # a branch, whatever is in it
    spilled: float = 0.5  # an element written and read that would have stayed in registers
    compiling: float = 2_500.0  # what each operation must save that is compiled beside dense JAX's own


@dataclass(frozen=True)
class Heuristics:
    """The prices, and the limits and thresholds of every decision."""

    prices: Prices = Prices()

    # Choosing a method
    fewest_inputs: int = 4  # inputs, below which dense JAX has no rival
    must_save: float = 0.2  # share of the time of every other method that a structured one must save
    forward_advantage: float = 1.5  # a product in reverse takes as many times longer than one forward
    settled: float = 0.3  # share of dense JAX's time, below which the other direction is not looked at
    alike: float = 2.0  # times as many inputs as outputs, or the reverse, up to which it always is
    cheap_diagonal: float = 0.35  # share of all products; more is not worth the memory of all entries
    evaluations_of_a_product: float = 2.0  # of f, that one product with a vector takes
    evaluations_of_a_second_product: float = 4.0  # and one with the Hessian
    followed_equations: int = 1000  # of a loop, all steps together, that are followed step by step
    far_cheaper: int = 4  # times fewer inputs than outputs, to replace a reverse rule in forward mode
    fewest_walked_operations: int = 200  # of the walk, to compare it with products with colored vectors
    most_colored: int = 1 << 20  # entries of a pattern that is colored for that
    uncounted_operations: int = 40  # of a program, whose compiling nobody notices
    fewest_mixed_products: int = 64  # that one direction takes, to look for a mix of both
    mixed_gain: int = 4  # times fewer products, to evaluate f once for each direction
    most_mixed_leaves: int = 32  # of a side, that are shared out among the directions
    fewest_cut_products: int = 16  # that a Jacobian takes, to look for a bottleneck
    cut_must_save: float = 0.5  # share of the work that is left, at the most, when f is cut
    products_at_once: int = 64  # of which the estimate for one is taken

    # Memory
    memory_bytes: int | None = None  # of the device; None: what it or the system says
    entry_limit: int = 1 << 28  # entries of a value, above which a walk gives up
    share_of_memory: float = 0.25  # for the workspace of a derivative
    unknown_memory: int = 4 << 30  # bytes, where neither the device nor the system says
    largest_dense_bytes: int = 4 << 30  # of a matrix that is made dense without a question
    surely_small_bytes: int = 64 << 20  # of all products at once, below which nobody need count
    largest_block: int = 4096  # products of a part that are done at once
    most_for_one_entry: int = 256  # products at a time, of each of which a single number is kept
    most_of_a_body: int = 1 << 28  # coefficients of a value that a loop or a branch returns
    most_of_a_rule: int = 1 << 26  # coefficients of a value in a backward rule
    largest_triangle: int = 1 << 27  # entries of a running sum
    largest_mask: int = 1 << 20  # elements of a comparison that is kept with the program
    most_entries_traced: int = 4  # times those of the derivative, of a value with arrays traced
    fewest_entries_limited: int = 1 << 20  # below that there is no such limit

    # The walk: lanes or entries, loops
    few_lanes: int = 8  # fewer waste little
    worth_entries: int = 1 << 14  # coefficients that entries must save
    waste: int = 4  # coefficients on lanes for each entry
    waste_of_sums: int = 2  # the same of what is summed
    unrolled_equations: int = 200  # of a loop, all steps together, that are written out
    unrolled_saves: float = 0.4  # share of the loop's coefficients; see `engine.walk.loops`
    carry_rounds: int = 100  # steps that a pattern is followed for before it is widened
    widened_rounds: int = 8  # the same of a widened one
    rule_rounds: int = 30  # the same within a backward rule
    most_groups: int = 32  # of a value; the lanes of more are concatenated where they have one shape
    pairwise_lanes: int = 24  # that are compared pair by pair
    kept_lanes: int = 48  # up to which new entries are looked for a place in the lanes there are
    summed_terms: int = 16  # of a slot that are added one after the other; more are gathered at once
    uneven_places: int = 1 << 16  # in a table of sources, above which it must be a quarter full
    prefix_sums: int = 64  # entries of one place that are added one after the other
    single_sums: int = 16  # sums of more than that, which are done one by one
    compared_lanes: int = 4  # that are compared with every input rather than scattered
    sliced_lanes: int = 64  # a group of more, not all of them full, is gathered at once
    copied_places: int = 128  # of a window, copied one by one; those of a larger one are gathered
    pooled_places: int = 25  # of a window that are compared one by one
    transposed_rows: int = 256  # of an identity, a product with which costs next to nothing
    numpy_elements: int = 1 << 14  # a larger known array that is on a device already stays there

    # Products with a Jacobian
    fewest_planned_entries: int = 512  # below, a scatter is fast, and compiles faster than many lanes
    most_unrolled_lanes: int = 32  # every one is unrolled into the program
    most_summed: int = 64  # so is a regular axis that is summed, which takes no index arrays
    most_padding: int = 2  # times as many elements as there are entries, that lanes may touch

    # What is kept
    kept_of_a_function: int = 64  # shapes and options
    kept_alike: int = 4  # executables that differ in the values of arrays alone
    kept_variants: int = 4  # derivatives of one function for calls of one kind
    kept_calls: int = 4  # of one transformed function
    visited_objects: int = 256  # that f captures
    watched_bytes: int = 4096  # of a container, whose inside may change
    copied_bytes: int = 4 << 20  # of all numpy arrays together: comparing more takes as long as a trace
    remembered_layouts: int = 8  # of the first calls
    told_after: int = 3  # arrays that each had a derivative of their own
    most_compiled_equations: int = 2_000  # above, running them one by one takes less
    kept_checks: int = 32  # programs of `check`
    kept_check_bytes: int = 1 << 24  # of constants and patterns; larger ones are not kept
    kept_descents: int = 64  # programs of `minimize`

    # Running equations and samples
    most_diagnosed_equations: int = 20_000  # of all loops together, that `diagnose` runs one by one
    sampled_bytes: int = 1 << 26  # of inputs and outputs that are held at a time
    sampled_turns: int = 16  # that run step by step; a loop for more of them is compiled for each call


_MEASURED = Heuristics()
_CURRENT: ContextVar[Heuristics] = ContextVar("jaxcalc.heuristics", default=_MEASURED)


def heuristics() -> Heuristics:
    """The numbers that hold here and now."""
    return _CURRENT.get()


def prices() -> Prices:
    """What operations cost here."""
    return _CURRENT.get().prices


@contextmanager
def tuned(**changes: Any) -> Iterator[Heuristics]:
    """Other numbers within a `with`, in this thread: to measure them, or for small cases of a path.

    What was decided before, and is kept with a function, is not decided again.

    Example: `with tuned(fewest_inputs=0): jaxcalc.explain(f, x)`.
    """
    token = _CURRENT.set(replace(_CURRENT.get(), **changes))
    try:
        yield _CURRENT.get()
    finally:
        _CURRENT.reset(token)
