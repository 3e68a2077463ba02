"""How derivatives are computed: JAX's dense transformations, and structured propagation."""
