"""Derivatives of any order in one scalar: truncated Taylor series, propagated through the program.

Nesting `jax.jvp` n times doubles the program n times. A series of n + 1 coefficients goes through
each equation once, at O(n^2) cost (Griewank and Walther, *Evaluating Derivatives*, 2008, chapter 13).
"""

from jaxcalc.methods.taylor.derivative import nth_derivative

__all__ = ["nth_derivative"]
