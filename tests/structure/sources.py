"""What can be counted in the text of the library: circles, layers, tables of primitives, evaluators."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import jaxcalc
from jaxcalc.engine.rules.coverage import coverage

PACKAGE = Path(jaxcalc.__file__).parent
TESTS = PACKAGE.parent / "tests"
_FEWEST = 3  # names of primitives that make a table
# what planning.choose asks when it decides on a method; another module that asks it decides as well
DECISIONS = (
    "cheaper_direction",
    "hessian_directions",
    "is_far_cheaper_forward",
    "is_finite_in_reverse_alone",
    "in_both_directions",
    "product_of_parts",
)


def sources() -> dict[str, ast.Module]:
    """The modules of the library, by their path within it."""
    return {
        path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text("utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


def lines() -> int:
    """Lines of the library."""
    return sum(len(path.read_text("utf-8").splitlines()) for path in PACKAGE.rglob("*.py"))


def imports(files: dict[str, ast.Module]) -> dict[str, set[str]]:
    """The modules of the library that each of them imports: within functions and for types as well."""
    names = {_dotted(path): path for path in files}
    found: dict[str, set[str]] = {}
    for path, tree in files.items():
        found[path] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                wanted = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                wanted = [name if name in names else node.module for name in inner]
            else:
                continue
            found[path] |= {names[name] for name in wanted if name in names} - {path}
    return found


def circles(graph: dict[str, set[str]]) -> list[set[str]]:
    """Modules that import each other, directly or through others: each set of them once."""
    reach = {path: _reached(path, graph) for path in graph}
    groups = {
        frozenset({path, *(o for o in reach[path] if path in reach[o])})
        for path in graph
        if path in reach[path]
    }
    return [set(group) for group in groups]


def tables(files: dict[str, ast.Module]) -> list[str]:
    """Sets, tuples and dicts at the top of modules that list primitives.

    The doctor's are its own, and those of the command line and of errors about options list words of
    users, some of which are names of primitives too.
    """
    primitives = {entry.primitive for entry in coverage()}
    registry = [path for path in files if path == "engine/jaxprs/traits.py"]
    return registry + [
        f"{path}: {ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)}"
        for path, tree in files.items()
        if not path.startswith(("checking/", "cli/", "call/front_door"))
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and node.value is not None
        and len(primitives & set(_strings(node.value))) >= _FEWEST
    ]


def evaluators(files: dict[str, ast.Module]) -> list[str]:
    """Functions that go through the equations of a program and keep values by its variables."""
    return [
        f"{path}: {function.name}"
        for path, tree in files.items()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for loop in ast.walk(function)
        if isinstance(loop, ast.For) and _is_of(loop.iter, "eqns") and _stores_by_outvars(loop)
    ]


def decisions(files: dict[str, ast.Module]) -> list[str]:
    """Modules that take a decision about the method: each decision in each module once."""
    found = {
        (path, node.func.id)
        for path, tree in files.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in DECISIONS
        and node.func.id not in {f.name for f in tree.body if isinstance(f, ast.FunctionDef)}
    }
    return [f"{path}: {name}" for path, name in sorted(found)]


def patches() -> list[str]:
    """Patches of the library in tests, not those of other packages or of the tests themselves."""
    found = []
    for path in sorted(TESTS.rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        others = _names_of_others(tree)
        found += [
            f"{path.relative_to(TESTS).as_posix()}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and (node.func.attr == "setattr" or ast.unparse(node.func).endswith("patch.object"))
            and node.args
            and ast.unparse(node.args[0]).split(".")[0] not in others
        ]
    return found


def _names_of_others(tree: ast.Module) -> set[str]:
    """The names in a module that do not come from the library: imported from elsewhere, or its own."""
    names = {"sys"}
    for node in tree.body:
        if isinstance(node, ast.Import) or (
            isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("jaxcalc")
        ):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {name.id for name in node.targets if isinstance(name, ast.Name)}
    return names


def _reached(path: str, graph: dict[str, set[str]]) -> set[str]:
    seen, waiting = set[str](), list(graph[path])
    while waiting:
        other = waiting.pop()
        if other not in seen:
            seen.add(other)
            waiting.extend(graph[other])
    return seen


def _dotted(path: str) -> str:
    return ".".join(["jaxcalc", *Path(path).with_suffix("").parts]).removesuffix(".__init__")


def _strings(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
            yield from inner.value.split()


def _is_of(node: ast.AST, attribute: str) -> bool:
    return any(isinstance(inner, ast.Attribute) and inner.attr == attribute for inner in ast.walk(node))


def _stores_by_outvars(loop: ast.For) -> bool:
    inner = list(ast.walk(loop))
    reads = any(isinstance(node, ast.Attribute) and node.attr == "outvars" for node in inner)
    stores = any(isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) for node in inner)
    calls = {_called(node) for node in inner if isinstance(node, ast.Call)}
    return reads and (stores or bool(calls & {"write", "update", "bind"}))


def _called(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
