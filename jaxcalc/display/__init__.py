"""Tables, pictures of patterns and progress bars, for terminals and notebooks."""
