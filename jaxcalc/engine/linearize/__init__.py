"""From f to the linear program whose entries are the derivative."""
