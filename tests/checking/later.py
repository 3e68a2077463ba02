"""Cases of the catalogue that the library does not get right yet, by name, each with the reason.

The tests hold that each of them still fails, so that a case leaves this list when it is cured.
"""

FAULTS: dict[str, str] = {}

HEALTHY: dict[str, str] = {}

RIGHT: dict[str, str] = {}

WRONG: dict[str, str] = {}
