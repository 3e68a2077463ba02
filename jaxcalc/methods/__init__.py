"""The methods that reach a derivative: structured, dense, composite, mixed, Taylor."""
