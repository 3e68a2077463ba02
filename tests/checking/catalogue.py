"""The whole catalogue: faults with the line and the cause that must be found, and healthy functions.

A number such as jax#5798 in a name is the public report that a case was made after.
`python -m tests.checking.catalogue` prints a table, with what is found.
"""

import re
from collections.abc import Iterable

from jaxcalc import diagnose
from tests.checking import (
    faults_in_derivatives,
    faults_in_geometry_and_losses,
    faults_in_linear_algebra,
    faults_in_one_direction,
    faults_in_probabilities,
    faults_in_values,
    faults_of_indices,
    faults_of_lookups,
    faults_of_masks,
    faults_of_missing_data,
    faults_of_mutable_arrays,
    faults_of_overflow,
    faults_of_paths,
    faults_of_precision,
    faults_of_scale,
    faults_of_spectra,
    faults_of_zero_gradients,
    healthy,
    healthy_matrices,
    healthy_models,
    healthy_reports,
    healthy_units,
)
from tests.checking.faults import FAULTS, matches

HEALTHY = (
    healthy.functions()
    | faults_in_one_direction.HEALTHY
    | faults_of_indices.HEALTHY
    | faults_of_lookups.HEALTHY
    | faults_of_missing_data.HEALTHY
    | faults_of_mutable_arrays.HEALTHY
    | faults_of_overflow.HEALTHY
    | faults_of_spectra.HEALTHY
    | healthy_matrices.functions()
    | healthy_models.functions()
    | healthy_reports.functions()
    | healthy_units.functions()
)

__all__ = [
    "FAULTS",
    "HEALTHY",
    "accused",
    "faults_in_derivatives",
    "faults_in_geometry_and_losses",
    "faults_in_linear_algebra",
    "faults_in_one_direction",
    "faults_in_probabilities",
    "faults_in_values",
    "faults_of_indices",
    "faults_of_lookups",
    "faults_of_masks",
    "faults_of_missing_data",
    "faults_of_mutable_arrays",
    "faults_of_overflow",
    "faults_of_paths",
    "faults_of_precision",
    "faults_of_scale",
    "faults_of_spectra",
    "faults_of_zero_gradients",
    "reported",
    "rows",
]


def reported(names: Iterable[str]) -> int:
    """How many of these names say which public report the case was made after."""
    return sum(re.search(r"\w#\d", name) is not None for name in names)


def rows() -> list[tuple[str, str, str]]:
    """For each fault: its name, the cause that is found, and the place; "not found" where it is not."""
    table = []
    for fault in FAULTS:
        found = diagnose(fault.function, *fault.args, **fault.options).findings
        first = next((x for x in found if matches(fault, x)), None)
        table.append((fault.name, first.cause, first.place) if first else (fault.name, "not found", ""))
    return table


def accused() -> list[str]:
    """The healthy functions in which something is found."""
    return [name for name, (f, *args) in HEALTHY.items() if diagnose(f, *args).findings]


if __name__ == "__main__":
    table = rows()
    print("| fault | cause found | line |\n|---|---|---|")
    for name, cause, place in table:
        print(f"| {name} | {cause} | {place} |")
    found = sum(cause != "not found" for _, cause, _ in table)
    print(f"\n{found} of {len(table)} faults are found with the right cause and line.")
    print(f"{len(accused())} of {len(HEALTHY)} healthy functions have a finding.")
