"""Every block of code in the documentation runs, and prints what is shown below it."""

from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

from tests.docs.pages import DOCS, PAGES, blocks_of, failures, is_same


@pytest.fixture
def _settings_as_before() -> Iterator[None]:
    x64 = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", False)
    yield
    jax.config.update("jax_enable_x64", x64)


# estimates, and the operations of a line, are of the programs that JAX makes
SHOWN_BY = (0, 10)


@pytest.mark.skipif(
    tuple(map(int, jax.__version__.split(".")[:2])) != SHOWN_BY,
    reason="the pages show what JAX 0.10 makes, the newest for Python 3.11: .ci/run runs them there",
)
@pytest.mark.usefixtures("_settings_as_before")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_the_code_of_a_page_prints_what_is_shown(page: Path, tmp_path: Path) -> None:
    found = list(failures(page.read_text("utf-8"), tmp_path))
    assert not found, "\n".join(found)


def test_there_are_pages_with_code() -> None:
    assert sum(len(blocks_of(page.read_text("utf-8"))) for page in PAGES) > 50


GOOD = """
```python
x = 1
print(x + 1)
```

```text
2
```

```python
print(x + 2)
```

```text
3
```
"""


def test_a_page_that_is_right_has_no_failures(tmp_path: Path) -> None:
    assert list(failures(GOOD, tmp_path)) == []


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("text\n3", "text\n4", "line 12: prints\n3"),  # another number
        ("```text\n3\n```", "", "line 12: prints\n3"),  # an output that is not shown
        ("print(x + 1)\n", "", "shown is\n2"),  # an output that is not printed
        ("```python\nprint(x + 2)\n```", "", "line 14: an output without the code"),
    ],
)
def test_a_page_that_is_wrong_fails(right: str, wrong: str, message: str, tmp_path: Path) -> None:
    assert GOOD.count(right) == 1
    (found,) = failures(GOOD.replace(right, wrong), tmp_path)
    assert message in found


def test_a_command_that_prints_something_else_fails(tmp_path: Path) -> None:
    page = '```console\n$ jaxcalc derivative "x**2" --at 3\n6.0\n```\n'
    assert list(failures(page, tmp_path)) == []
    (found,) = failures(page.replace("6.0", "7.0"), tmp_path)
    assert "prints\n6.0" in found


def test_a_block_alone_sees_its_variables_and_nothing_else(tmp_path: Path) -> None:
    code = "import os\nprint(os.environ['SEEN'], 'x' in globals())\n"
    page = f"```python\nx = 1\n```\n<!-- alone: SEEN=1 -->\n```python\n{code}```\n"
    assert list(failures(page + "```text\n1 False\n```\n", tmp_path)) == []


def test_a_block_that_needs_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    page = "<!-- needs: no_such_package -->\n```python\nimport no_such_package\n```\n"
    assert list(failures(page, tmp_path)) == []
    with pytest.raises(ModuleNotFoundError):
        list(failures(page.replace("needs: no_such_package", "needs: jax"), tmp_path))


@pytest.mark.parametrize(
    ("shown", "printed", "same", "same_words"),
    [
        ("loss 0.25", "loss 0.250001", True, True),  # rounding of another processor
        ("loss 0.25", "loss 0.26", False, True),
        ("3 lanes", "4 lanes", False, True),  # a count has no rounding
        ("error 1.2e-07", "error 3.1e-08", True, True),
        ("[0. 1.]", "[0. 1.0000001]", True, True),
        ("float32[3]", "float64[3]", False, False),  # a word, though it ends in a number
        ("loss 0.25", "loss nan", False, False),
        ("a  1.0\n ───\n", "a 1.0\n ─────\n", False, True),  # widths go with the numbers
        ("a 1.0\n...\n", "a 1.0\nb 2.0\n", True, True),  # the rest is left out
        ("a 1.0\n...\n", "b 1.0\nb 2.0\n", False, False),
        ("a 1.0\n...\nb\n", "a 1.0\nc\nb\n", False, False),  # only at the end
    ],
)
def test_numbers_may_be_rounded_otherwise_and_words_may_not(
    shown: str, printed: str, same: bool, same_words: bool
) -> None:
    assert is_same(shown, printed) is same
    assert is_same(shown, printed, varies=True) is same_words
