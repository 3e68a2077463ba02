"""Vectors of a spectrum whose derivative is noise: their eigenvalues or singular values are too close.

The derivative of an eigenvector is divided by the differences of its eigenvalue to the others. Where
these are equal in exact arithmetic, rounding splits them by some `eps`, and what comes out is finite
and has no right digit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from jaxcalc.checking.doctor.pullback import Pullback
from jaxcalc.checking.doctor.sample import shown
from jaxcalc.checking.doctor.tape import Event, Tape, is_zero, not_finite
from jaxcalc.checking.findings import Finding
from jaxcalc.engine.jaxprs.source import NOWHERE

_NOISE = 0.01  # relative error of the derivative from which on it is told
_EQUAL = 0.1  # from here on there is no digit left: they are equal but for rounding
_WORDS = {
    "eigh": ("eigenvalues", "eigenvectors"),
    "eig": ("eigenvalues", "eigenvectors"),
    "svd": ("singular values", "singular vectors"),
}


class _Pair(NamedTuple):
    """Two close values, and the relative error of what is divided by their difference."""

    first: float
    second: float
    noise: float


def spectrum_findings(tape: Tape, pullback: Pullback) -> list[Finding]:
    """A warning for each line that differentiates vectors which rounding has chosen."""
    found: dict[object, Finding] = {}
    for event in tape.events:
        pulled = pullback.of_operand.get(event)
        if pulled is None or event.name not in {*_WORDS, "qr"} or any(map(not_finite, pulled)):
            continue
        finding = _of_qr(tape, event) if event.name == "qr" else _of_spectrum(tape, pullback, event)
        if finding is not None:
            found.setdefault((event.place, event.name), finding)
    return list(found.values())


def _of_spectrum(tape: Tape, pullback: Pullback, event: Event) -> Finding | None:
    values, vectors = _WORDS[event.name]
    worst = max(_pairs(tape, pullback, event), key=lambda pair: pair.noise, default=None)
    if worst is None or worst.noise < _NOISE:
        return None
    close = "equal" if worst.noise > _EQUAL else "nearly equal"
    return _finding(
        event,
        f"{event.name} with {close} {values} ({shown(worst.first)} and {shown(worst.second)}, "
        f"{abs(worst.first - worst.second):.1e} apart): the derivative of the {vectors} is divided by "
        "their difference, and is rounding noise",
        f"use a function of the {values} alone, or one that does not depend on the choice of "
        f"{vectors}; or separate them by a small known matrix.",
    )


def _pairs(tape: Tape, pullback: Pullback, event: Event) -> Iterator[_Pair]:
    """The closest values of which the vectors carry a derivative, of each batch."""
    rank = tape.array(event.inputs[0]).ndim
    spectrum = next((tape.array(i) for i in event.outputs if tape.array(i).ndim < rank), None)
    if spectrum is None or spectrum.shape[-1] < 2:
        return
    eps = float(np.finfo(spectrum.dtype).eps)
    size = np.max(np.abs(spectrum), axis=-1, initial=0.0, keepdims=True)[..., None]
    gaps = np.abs(spectrum[..., :, None] - spectrum[..., None, :])
    tiny = float(np.finfo(spectrum.dtype).tiny)
    noise = eps * size / np.maximum(gaps, tiny) * (size > 0)
    mixed = np.zeros(gaps.shape, bool)
    for number in event.outputs:
        cotangent = pullback.of_value.get(number)
        if tape.array(number).ndim == rank and not is_zero(cotangent):
            mixed = mixed | _mixed(tape.array(number), np.asarray(cotangent), spectrum)
    noise = np.where(mixed & ~np.eye(spectrum.shape[-1], dtype=bool), noise, 0.0)
    if not noise.size:
        return
    place = np.unravel_index(int(np.argmax(noise)), noise.shape)
    *batch, i, j = (int(k) for k in place)
    yield _Pair(spectrum[(*batch, i)].item(), spectrum[(*batch, j)].item(), float(noise[place]))


def _mixed(vectors: np.ndarray, cotangent: np.ndarray, spectrum: np.ndarray) -> np.ndarray:
    """For each pair of values, whether the output changes as their two vectors turn into each other."""
    n = spectrum.shape[-1]
    if vectors.shape[-1] != n:  # singular vectors as rows
        vectors, cotangent = (np.swapaxes(x, -1, -2) for x in (vectors, cotangent))
    vectors, cotangent = vectors[..., :n], cotangent[..., :n]
    is_read = (cotangent != 0).any(axis=-2)
    turns = np.abs(np.swapaxes(vectors.conj(), -1, -2) @ cotangent) > 0
    turns = turns & is_read[..., None, :]
    return np.asarray(turns | np.swapaxes(turns, -1, -2))


def _of_qr(tape: Tape, event: Event) -> Finding | None:
    r = tape.array(event.outputs[-1])
    pivots = np.abs(np.diagonal(r, axis1=-2, axis2=-1))
    if not pivots.size:
        return None
    largest, smallest = np.max(np.abs(r), axis=(-2, -1)), pivots.min(axis=-1)
    eps = float(np.finfo(r.dtype).eps)
    if not (eps * largest > _NOISE * smallest).any():
        return None
    return _finding(
        event,
        f"qr of a matrix without full rank (a pivot of {shown(smallest.min())} beside "
        f"{shown(largest.max())}): the derivative of Q and R is divided by it, and is rounding noise",
        "leave out the columns that depend on the others, or add a small multiple of the identity.",
    )


def _finding(event: Event, cause: str, advice: str) -> Finding:
    place = event.place or NOWHERE
    return Finding("warning", "derivative", cause, advice, *place, "", event.name, event.step)
