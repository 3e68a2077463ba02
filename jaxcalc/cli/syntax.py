"""Reading an expression: from text to a checked syntax tree, without running any of it."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping

from jaxcalc.cli.errors import UsageError
from jaxcalc.cli.vocabulary import (
    BINARY,
    COMPARISONS,
    CONSTANTS,
    FUNCTIONS,
    MODULES,
    UNARY,
    Function,
)

_LONGEST = 4_000  # characters
_PRODUCT = re.compile(r"(\d|\))\s*[a-zA-Z(]")  # what 2x and (x+1)(x-1) have in common
_CALL = re.compile(r"\b([a-z]\w*)\s+([\w.]+)")  # sin x, a function before its argument
_DOTTED = re.compile(r"((?:[^\W\d]\w*\.)*[^\W\d]\w*)\.([^\W\d_]\w*)")  # my_module.loss
_DEEPEST = 200  # levels; each is two Python frames when the expression is evaluated
LARGEST_INTEGER = 2**53  # beyond it a float no longer holds every integer


def parse(source: str) -> ast.expr:
    """The syntax tree of an expression that holds only what the vocabulary allows.

    Raises:
        UsageError: it is no expression, is too long or too deep, or uses anything else.
    """
    source = source.strip()
    if not source:
        raise UsageError("the expression is empty; give one such as '2*x**3 + 5'")
    if len(source) > _LONGEST:
        raise UsageError(
            f"the expression has {len(source)} characters and the limit is {_LONGEST}; write a "
            "function in a file and give module:function"
        )
    dotted = _DOTTED.fullmatch(source)
    if dotted is not None and dotted[1].partition(".")[0] not in MODULES:
        raise UsageError(
            f"attributes such as .{dotted[2]} are not allowed; for a function in a file write "
            f"{dotted[1]}:{dotted[2]}"
        )
    tree = _parsed(source)
    _require_shallow(tree)
    _Checker(source).visit(tree)
    return tree


def variables(tree: ast.expr) -> tuple[str, ...]:
    """The names in an expression that are neither functions nor constants, in order of appearance."""
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    names.sort(key=lambda node: (node.lineno, node.col_offset))
    known = CONSTANTS.keys() | FUNCTIONS.keys()
    return tuple(dict.fromkeys(node.id for node in names if node.id not in known))


def _parsed(source: str) -> ast.expr:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd spellings such as 1or x, refused below
            return ast.parse(source, mode="eval").body
    except SyntaxError as error:
        message = error.msg
        offset = error.offset or 1
    except (RecursionError, MemoryError):
        raise _too_deep() from None
    except ValueError as error:  # a null byte, or an integer of thousands of digits
        raise UsageError(f"cannot read the expression: {error}") from None
    call = _CALL.search(source)
    if call is not None and call[1] in FUNCTIONS:
        hint = f"; write {call[1]}({call[2]})"
    else:
        hint = "; a product is written 2*x" if _PRODUCT.search(source) else ""
    raise UsageError(f"cannot read the expression: {message}{hint}{_pointer(source, offset - 1)}")


def _require_shallow(tree: ast.expr) -> None:
    level: list[ast.AST] = [tree]
    for _ in range(_DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> UsageError:
    return UsageError(
        f"the expression is nested more than {_DEEPEST} levels deep; write a function in a file and "
        "give module:function"
    )


def _pointer(source: str, column: int) -> str:
    """The expression with a mark under the place in question."""
    if "\n" in source:
        return ""
    start = max(0, column - 60)
    return f"\n    {source[start : column + 20]}\n    {' ' * (column - start)}^"


class _Checker(ast.NodeVisitor):
    """Refuses every node that has no entry here: a list of what is allowed, not of what is not."""

    def __init__(self, source: str) -> None:
        self.source = source

    def generic_visit(self, node: ast.AST) -> None:
        raise self.refusal(node, f"{type(node).__name__} is not allowed in an expression")

    def refusal(self, node: ast.AST, message: str) -> UsageError:
        return UsageError(message + _pointer(self.source, getattr(node, "col_offset", 0)))

    def visit_children(self, node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if not isinstance(child, ast.operator | ast.unaryop | ast.cmpop | ast.expr_context):
                self.visit(child)

    def visit_Constant(self, node: ast.Constant) -> None:
        if type(node.value) not in {int, float} and node.value is not Ellipsis:
            raise self.refusal(node, f"{node.value!r} is not a number")
        if isinstance(node.value, int) and node.value > LARGEST_INTEGER:
            raise self.refusal(node, "the integer is larger than 2**53; write it as a float: 1e20")

    def visit_Name(self, node: ast.Name) -> None:
        if node.id in FUNCTIONS:
            raise self.refusal(node, f"{node.id} is a function; call it: {node.id}(...)")
        if node.id.startswith("__"):
            raise self.refusal(node, f"{node.id} cannot be a variable")

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.op, ast.BitXor):
            mark = _pointer(self.source, self.source.find("^"))
            raise UsageError(f"^ is not a power here; write x**2{mark}")
        self.require_operator(node, node.op, BINARY)
        self.visit_children(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        self.require_operator(node, node.op, UNARY)
        self.visit_children(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        if len(node.ops) > 1:
            raise self.refusal(node, "compare two things at a time: a < b, not a < b < c")
        self.require_operator(node, node.ops[0], COMPARISONS)
        self.visit_children(node)

    def require_operator(self, node: ast.AST, operator: ast.AST, allowed: Mapping[str, object]) -> None:
        if type(operator).__name__ not in allowed:
            raise self.refusal(node, f"{type(operator).__name__} is not allowed in an expression")

    def visit_Call(self, node: ast.Call) -> None:
        function = self.function(node.func)
        if function is None:
            raise self.refusal(node, "only a function can be called; write * to multiply")
        name, entry = function
        if not entry.fewest <= len(node.args) <= entry.most:
            hint = "; write maximum(a, b) or minimum(a, b)" if name in {"max", "min"} else ""
            raise self.refusal(
                node, f"{name} takes {entry.fewest} argument(s), and got {len(node.args)}{hint}"
            )
        for keyword in node.keywords:
            if keyword.arg != "axis" or not entry.axis:
                raise self.refusal(node, f"{name} takes no option {keyword.arg or '**'}")
            if not isinstance(self.number(keyword.value), int):
                raise self.refusal(keyword.value, "axis must be an integer")
        for argument in node.args:
            self.visit(argument)

    @staticmethod
    def number(node: ast.expr) -> object:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            node = node.operand
        return node.value if isinstance(node, ast.Constant) else None

    def function(self, node: ast.expr) -> tuple[str, Function] | None:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in MODULES:
                raise self.refusal(node, f"write {node.attr}(...), without {node.value.id}")
            raise self.refusal(node, f"attributes such as .{node.attr} are not allowed")
        if not isinstance(node, ast.Name):
            return None
        if node.id not in FUNCTIONS:
            raise self.refusal(
                node, f"unknown function {node.id!r}; the known ones are {', '.join(sorted(FUNCTIONS))}"
            )
        return node.id, FUNCTIONS[node.id]

    def visit_Attribute(self, node: ast.Attribute) -> None:
        raise self.refusal(node, f"attributes such as .{node.attr} are not allowed")

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.visit(node.value)
        self.visit(node.slice)

    def visit_Slice(self, node: ast.Slice) -> None:
        for part in (node.lower, node.upper, node.step):
            if part is not None and not isinstance(self.number(part), int):
                raise self.refusal(part, "a slice needs integers")

    visit_Tuple = visit_List = visit_children  # noqa: N815
