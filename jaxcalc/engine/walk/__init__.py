"""The walk through a linear program that carries structured tangents, control flow included."""
