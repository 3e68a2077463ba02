"""Forward mode of functions whose derivative is a backward rule."""
