"""Exact derivatives in JAX, at the cost of their structure, that explain themselves."""
