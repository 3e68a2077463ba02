"""Importing a package of the extra, or skipping the file that needs it."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import pytest


def package(name: str) -> Any:
    """The package; the tests of the file are skipped, with the reason, where it cannot be imported."""
    with warnings.catch_warnings():  # what it uses that is deprecated is its own to change
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError as error:
            reason = f'{name} cannot be imported ({error}); pip install ".[ecosystem]"'
        except AttributeError as error:  # it uses what this JAX no longer has
            reason = f"{name} does not work with this JAX: {error}"
    pytest.skip(reason, allow_module_level=True)
