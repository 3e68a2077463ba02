"""Programs: the parameters of their equations, what they cost, and how they are rewritten."""
