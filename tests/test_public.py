"""Rules that the whole package keeps: documented names, one direction of imports, a light import."""

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import jaxcalc
from tests.structure.sources import circles

PACKAGE = Path(jaxcalc.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))

# Each folder, or file at the top, may import those in the rows above its own, and itself.
LAYERS = [
    {"data", "heuristics"},
    {"call"},
    {"space", "kinds"},
    {"engine.jaxprs"},
    {"engine.tangents"},
    {"engine.patterns"},
    {"engine.rules"},
    {"engine.walk"},
    {"engine.custom_vjp"},
    {"engine.linearize"},
    {"engine"},
    {"display"},
    {"results"},
    {"methods"},
    {"cache"},
    {"planning"},
    {"transforms"},
    {"numerical"},
    {"checking", "descent"},
    {"visual"},
    {"cli"},
    {"__main__"},
]
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}

LONGEST_FILE = 500  # lines
HEAVY = (
    "matplotlib",
    "rich",
    "tqdm",
    "IPython",
    "scipy",
    "jaxcalc.cli",
    "jaxcalc.data",
    "jaxcalc.visual",
)


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def part_of(path: Path) -> str:
    return part_named(".".join(path.relative_to(PACKAGE).with_suffix("").parts))


def part_named(module: str) -> str:
    """The part of the package that a module belongs to, such as "engine.rules" or "results"."""
    first, _, rest = module.partition(".")
    inner = f"{first}.{rest.partition('.')[0]}"
    return inner if inner in LEVEL else first


def public_callables() -> dict[str, object]:
    """Every function of the public API by its full name, those of the public modules included."""
    found: dict[str, object] = {}
    for name in jaxcalc.__all__:
        value = getattr(jaxcalc, name)
        members = {name: value}
        if inspect.ismodule(value):
            members = {f"{name}.{inner}": getattr(value, inner) for inner in value.__all__}
        found.update(members)
    return found


FUNCTIONS = {name: f for name, f in public_callables().items() if inspect.isfunction(f)}
CLASSES = {name: c for name, c in public_callables().items() if inspect.isclass(c)}


def imported_modules(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it, under their full names."""
    found = set()
    package = ["jaxcalc", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    return found


def imported_parts(path: Path) -> set[str]:
    return {part_named(name) for name in imported_jaxcalc(path)} & LEVEL.keys()


def imported_jaxcalc(path: Path) -> set[str]:
    """The modules and packages of jaxcalc that a file imports, without names inside of modules."""
    found = set()
    for name in imported_modules(path):
        inner = name.removeprefix("jaxcalc.")
        place = PACKAGE.joinpath(*inner.split("."))
        if inner != name and (place.with_suffix(".py").exists() or (place / "__init__.py").exists()):
            found.add(inner)
    # `from jaxcalc.engine import walk` names the folder as well: it imports what is in it
    return {name for name in found if not any(other.startswith(f"{name}.") for other in found)}


def test_all_is_sorted_and_complete() -> None:
    assert jaxcalc.__all__ == sorted(jaxcalc.__all__)
    assert len(set(jaxcalc.__all__)) == len(jaxcalc.__all__)
    for name in jaxcalc.__all__:
        assert hasattr(jaxcalc, name), name
    public = {name for name in vars(jaxcalc) if not name.startswith("_")}
    submodules = {part for part in LEVEL if part not in jaxcalc.__all__}
    assert public - submodules == set(jaxcalc.__all__)


def test_dir_offers_public_names_alone() -> None:
    assert dir(jaxcalc) == jaxcalc.__all__
    assert dir(jaxcalc.engine) == jaxcalc.engine.__all__


@pytest.mark.parametrize(
    "name",
    [
        "checking.assert_derivatives",
        "data.load_digits",
        "engine.register_rule",
        "engine.coverage",
        "descent.minimize",
        "numerical.gradient",
        "visual.spy",
    ],
)
def test_public_modules_are_there_after_the_import(name: str) -> None:
    module = f"jaxcalc.{name.partition('.')[0]}"
    assert module in loaded_by(f"import jaxcalc; jaxcalc.{name}")


def test_public_modules_say_what_is_public() -> None:
    for name in jaxcalc.__all__:
        value = getattr(jaxcalc, name)
        if inspect.ismodule(value):
            assert value.__doc__, name
            assert sorted(value.__all__) == value.__all__, name


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_documented(name: str) -> None:
    text = inspect.getdoc(FUNCTIONS[name]) or ""
    for section in ("Returns:", "Example:", "Cost:" if "costs what it costs" not in text else "costs"):
        assert section in text, f"{name} has no {section}"
    if inspect.signature(FUNCTIONS[name]).parameters and "Takes the arguments of" not in text:
        assert "Args:" in text, name
        for parameter in inspect.signature(FUNCTIONS[name]).parameters:
            assert re.search(rf"^ *\**`?{parameter}`?(,|:)", text, re.MULTILINE), f"{name}: {parameter}"
    assert ">>>" in text.split("Example:")[1], name
    assert "+SKIP" not in text, name


@pytest.mark.parametrize("name", CLASSES)
def test_classes_are_documented(name: str) -> None:
    assert (inspect.getdoc(CLASSES[name]) or "").split("\n")[0].endswith((".", "`", ":", ";")), name


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_every_file_says_what_it_holds(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_only_public_parts_of_jax(path: Path) -> None:
    assert not [name for name in imported_modules(path) if name.startswith(("jax._", "jaxlib"))]


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_imports_point_one_way(path: Path) -> None:
    part = part_of(path)
    if part == "__init__":
        allowed = set(LEVEL) - {"cli", "__main__"}
    else:
        assert part in LEVEL, f"{part} has no place in LAYERS: say which parts may import it"
        allowed = {other for other in LEVEL if LEVEL[other] < LEVEL[part]} | {part}
    assert imported_parts(path) <= allowed


def test_imports_go_in_no_circle() -> None:
    files = {part_path(path): path for path in SOURCES if part_of(path) != "__init__"}
    graph = {name: imported_jaxcalc(path) & files.keys() - {name} for name, path in files.items()}
    assert not circles(graph), "these files import each other, directly or through others"


def part_path(path: Path) -> str:
    """The full name of a module without the package, such as "engine.rules.shape"."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def test_only_the_command_line_imports_the_whole() -> None:
    importing = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            whole = isinstance(node, ast.Import) and "jaxcalc" in {alias.name for alias in node.names}
            from_whole = isinstance(node, ast.ImportFrom) and node.module == "jaxcalc"
            if whole or (from_whole and {alias.name for alias in node.names} - LEVEL.keys()):
                importing.add(part_of(path))
    assert importing <= {"cli"}


def test_the_direction_of_imports_is_seen_when_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PACKAGE", tmp_path)
    for place in ("engine/rules", "engine/walk", "transforms"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "__init__.py").touch()
    (tmp_path / "transforms" / "jacobian.py").touch()
    path = tmp_path / "engine" / "rules" / "registry.py"
    for line, part in (
        ("from jaxcalc.transforms.jacobian import jacobian", "transforms"),
        ("from jaxcalc import transforms", "transforms"),
        ("import jaxcalc.transforms.jacobian", "transforms"),
        ("def f():\n    from ...transforms import jacobian", "transforms"),
        ("from jaxcalc.engine import walk", "engine.walk"),
        ("from jaxcalc.engine.walk import interpret", "engine.walk"),
    ):
        path.write_text(line)
        assert imported_parts(path) == {part}, line
    path.write_text("from jax._src import core")
    assert "jax._src" in imported_modules(path)


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh interpreter has loaded after a statement."""
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    return set(shown.stdout.split())


def test_the_import_is_light() -> None:
    base, loaded = loaded_by("import jax, optax"), loaded_by("import jaxcalc")
    assert "jaxcalc.transforms" in loaded
    assert not [name for name in HEAVY if name in loaded - base]
    assert not {"jaxcalc.descent", "jaxcalc.numerical"} & loaded
    assert "jaxcalc.descent" in loaded_by("import jaxcalc; jaxcalc.descent.update")
    drawing = loaded_by("import jaxcalc; jaxcalc.visual.spy")
    assert "jaxcalc.visual" in drawing
    assert "matplotlib" not in drawing


def test_the_version_needs_no_tables() -> None:
    loaded = loaded_by("from jaxcalc.cli.parser import make_parser; make_parser()")
    assert not {"rich", "tqdm", "jaxcalc.cli.tour", "jaxcalc.cli.commands"} & loaded


def test_the_import_computes_nothing() -> None:
    code = "import jax; jax.config.update('jax_log_compiles', True); import jaxcalc; jax.numpy.ones(3)"
    shown = subprocess.run(
        [sys.executable, "-c", code.replace("; jax.numpy.ones(3)", "")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Compiling" not in shown.stderr
    computing = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Compiling" in computing.stderr  # so that its absence above means something
