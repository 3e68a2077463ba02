"""The progress bar of what takes long: a descent, or a derivative made a block at a time."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self


class Bar:
    """A tqdm bar on standard error that counts steps, or nothing when it is not to be shown."""

    def __init__(self, total: int, *, unit: str = "step", shown: bool) -> None:
        self._bar: Any = None
        if shown:
            from tqdm import tqdm  # a quarter of the time that `import jaxcalc` may take

            self._bar = tqdm(total=total, unit=unit, dynamic_ncols=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, step: int, **figures: str) -> None:
        """Move to a step, with what is to be read beside the bar."""
        if self._bar is None:
            return
        if figures:
            self._bar.set_postfix(figures, refresh=False)
        self._bar.update(step - self._bar.n)
