"""Structured tangents, static places in numpy and traced values in JAX, and their algebra."""
