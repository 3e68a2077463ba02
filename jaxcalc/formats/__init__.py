"""Carriers of structured derivatives: static indices in numpy, traced values in JAX."""
