"""Limits and thresholds that several modules share, with their units."""

ENTRY_LIMIT = 1 << 28  # entries of a value, above which a walk gives up
