"""The progress bar of a descent."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self


class Bar:
    """A tqdm bar that counts steps, or nothing when it is not to be shown."""

    def __init__(self, total: int, *, shown: bool) -> None:
        self._bar: Any = None
        if shown:
            from tqdm import tqdm  # a quarter of the time that `import jaxcalc` may take

            self._bar = tqdm(total=total, unit="step", dynamic_ncols=True)

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

    def show(self, step: int, value: float, gradient_norm: float) -> None:
        """Move to a step, with the latest loss and gradient norm."""
        if self._bar is not None:
            self._bar.set_postfix(
                {"loss": f"{value:.4g}", "gradient": f"{gradient_norm:.3g}"}, refresh=False
            )
            self._bar.update(step - self._bar.n)
