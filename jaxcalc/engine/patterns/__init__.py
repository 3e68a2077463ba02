"""Sparsity patterns as rows and columns, in numpy: indices, structure, coloring."""
