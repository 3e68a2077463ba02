"""One call of f: its arguments and options, taken apart and put together again."""
