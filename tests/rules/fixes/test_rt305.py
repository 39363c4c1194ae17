"""Work and imports that wait until they are needed; and those that can't."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from .cases import At, proposed, reasons, same, variant


class Done(NamedTuple):
    """Source before, the heavy line, what is imported, the variant, source after."""

    before: str
    needle: str
    subject: str
    variant: str
    after: str


DONE = {
    "a table": Done(
        '''
        """Rates."""

        KEYS = range(9)
        # By key.
        TABLE: dict[int, int] = {
            key: key**2
            for key in KEYS
        }
        OTHER = 1


        def rate(key):
            return TABLE.get(key)


        def rates():
            return sum(value for value in TABLE.values())
        ''',
        "TABLE: dict",
        "shop.app",
        "cached function",
        '''
        """Rates."""

        import functools

        KEYS = range(9)


        # By key.
        @functools.cache
        def table() -> dict[int, int]:
            return {
                key: key**2
                for key in KEYS
            }


        OTHER = 1


        def rate(key):
            return table().get(key)


        def rates():
            return sum(value for value in table().values())
        ''',
    ),
    "a library, in two functions": Done(
        '''
        import json, os
        import pandas as pd


        class Report:
            def rows(self):
                """All."""
                frame = pd.DataFrame()
                return frame


        async def page():
            # Slow.
            return pd.concat([])
        ''',
        "import pandas",
        "pandas",
        "lazy import",
        '''
        import json, os


        class Report:
            def rows(self):
                """All."""

                import pandas as pd

                frame = pd.DataFrame()
                return frame


        async def page():
            import pandas as pd

            # Slow.
            return pd.concat([])
        '''.replace('"""All."""\n\n', '"""All."""\n'),
    ),
    "the first of its group": Done(
        """
        from __future__ import annotations

        import heavy
        import json


        def page():
            return heavy.work(), json
        """,
        "import heavy",
        "heavy",
        "lazy import",
        """
        from __future__ import annotations

        import json


        def page():
            import heavy

            return heavy.work(), json
        """,
    ),
    "one of several names": Done(
        """
        from shop.services import heavy, light


        def page():
            return heavy.work(), light.work()
        """,
        "from shop.services",
        "shop.services.heavy",
        "lazy import",
        """
        from shop.services import light


        def page():
            from shop.services import heavy

            return heavy.work(), light.work()
        """,
    ),
}

REFUSED = {
    "needed by a decorator": (
        "import heavy\n\n\n@heavy.mark\ndef page():\n    return heavy.work()\n",
        "import heavy",
        "needed at import, on line 4",
    ),
    "needed by a base": ("import heavy\n\n\nclass Page(heavy.Base):\n    pass\n", "import heavy", "needed at import"),
    "needed by a default": (
        "import heavy\n\n\ndef page(size=heavy.SIZE):\n    return size\n",
        "import heavy",
        "needed at import",
    ),
    "needed by an annotation": (
        "import heavy\n\n\ndef page(size: heavy.Size):\n    return size\n",
        "import heavy",
        "needed at import",
    ),
    "needed by other work at import": (
        "import heavy\n\nSIZE = heavy.SIZE\n\n\ndef page():\n    return heavy.work()\n",
        "import heavy",
        "needed at import",
    ),
    "exported": (
        '__all__ = ["heavy"]\n\nimport heavy\n\n\ndef page():\n    return heavy.work()\n',
        "import heavy",
        "named by its text",
    ),
    "a call for what it does": ("def work():\n    pass\n\n\nwork()\n", "work()  #", "is no value"),
    "two names": ("A = B = [n for n in range(9)]\n\n\ndef page():\n    return A, B\n", "A = B", "is no value"),
    "used at import": (
        "TABLE = {n: n for n in range(9)}\nSIZE = len(TABLE)\n\n\ndef page():\n    return TABLE\n",
        "TABLE = {n",
        "needed at import, on line 2",
    ),
    "given anew": (
        "TABLE = {n: n for n in range(9)}\n\n\ndef page():\n    global TABLE\n    TABLE = {}\n    return TABLE\n",
        "TABLE = {n",
        "another value elsewhere",
    ),
}


@pytest.mark.parametrize("name", DONE)
def test_done(name: str, tmp_path: Path) -> None:
    case = DONE[name]
    answers = proposed(tmp_path, "RT305", case.before, At(case.needle, "<module>"), subject=case.subject)
    same(variant(answers, case.variant), case.after)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    before, needle, why = REFUSED[name]
    before = before.replace("\n\nwork()\n", "\n\nwork()  # now\n")
    answers = proposed(tmp_path, "RT305", before, At(needle, "<module>"), subject="heavy")
    assert [a.kind for a in answers] == ["declined"]
    assert why in reasons(answers)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ("from shop.app import (\n    TABLE,\n)\n", "takes `TABLE`"),
        ("from shop import app\n\nprint(app.TABLE)\n", "takes `TABLE`"),
    ],
)
def test_taken_by_others(other: str, why: str, tmp_path: Path) -> None:
    answers = proposed(
        tmp_path, "RT305", DONE["a table"].before, At("TABLE: dict", "<module>"), others={"shop/other.py": other}
    )
    assert why in reasons(answers)


def test_models_register_themselves(tmp_path: Path) -> None:
    before = "from shop import models\n\n\ndef page():\n    return models.Book\n"
    others = {"shop/models.py": 'class Book(Base):\n    __tablename__ = "books"\n'}
    answers = proposed(tmp_path, "RT305", before, At("import models", "<module>"), subject="shop.models", others=others)
    assert "registers" in reasons(answers)
