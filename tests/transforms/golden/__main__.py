"""`python -m tests.transforms.golden` writes the texts anew; read the difference before you keep it."""

from tests.transforms.golden.functions import FOLDER, GOLDEN, text_of

for name in GOLDEN:
    (FOLDER / f"{name}.txt").write_text(text_of(name), "utf-8")
