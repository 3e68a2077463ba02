"""Pictures of derivatives and descents; they need matplotlib: `pip install "jaxcalc[plot]"`.

Each function draws on the matplotlib axes given as `ax`, or on those of a new figure, and returns the
axes. Lines differ in their dashes and markers and areas in their lightness, so that nothing is lost in
black and white. Nothing is shown, saved or set for other figures.
"""

from jaxcalc.visual.boxes import shapes
from jaxcalc.visual.errors import difference_error
from jaxcalc.visual.field import gradient_field
from jaxcalc.visual.history import loss_history
from jaxcalc.visual.paths import descent_path
from jaxcalc.visual.plan import plan_graph
from jaxcalc.visual.secant_lines import secants
from jaxcalc.visual.slices import partial_slices
from jaxcalc.visual.structure import spy

__all__ = [
    "descent_path",
    "difference_error",
    "gradient_field",
    "loss_history",
    "partial_slices",
    "plan_graph",
    "secants",
    "shapes",
    "spy",
]
