"""Every block of code in the documentation runs, and prints what is shown below it."""

from collections.abc import Iterator
from pathlib import Path

import jax
import pytest

from tests.docs.pages import DOCS, PAGES, blocks_of, failures


@pytest.fixture
def _settings_as_before() -> Iterator[None]:
    x64 = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", False)
    yield
    jax.config.update("jax_enable_x64", x64)


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
