"""What `diagnose` does: a function and its derivative run equation by equation, and looked at."""
