"""What is not changed stays to the letter, whatever the file looks like."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from perfcrew.rules import source
from perfcrew.rules.fixes import imports
from perfcrew.rules.fixes.edits import Edits, Unwritable


def edits_of(root: Path, text: str) -> Edits:
    path = root / "module.py"
    path.write_bytes(text.encode())
    read = source.read(path)
    assert read is not None
    return Edits(read)


IMPORTS = {
    "sorted into its group": (
        "import os\nimport sys\n\nimport httpx\n",
        ("json", None),
        "import json\nimport os\nimport sys\n\nimport httpx\n",
    ),
    "below the docstring": ('"""Doc."""\n\nx = 1\n', ("json", None), '"""Doc."""\n\nimport json\n\nx = 1\n'),
    "below __future__": (
        "from __future__ import annotations\n\nx = 1\n",
        ("json", None),
        "from __future__ import annotations\n\nimport json\n\nx = 1\n",
    ),
    "above those that were installed": (
        "# Ours.\nimport httpx\n",
        ("json", None),
        "# Ours.\nimport json\n\nimport httpx\n",
    ),
    "beside its own package": (
        "import os\n\nfrom fastapi import FastAPI\n\nfrom shop import a\n",
        ("fastapi.middleware.gzip", "GZip"),
        "import os\n\nfrom fastapi import FastAPI\nfrom fastapi.middleware.gzip import GZip\n\nfrom shop import a\n",
    ),
    "into one that is there": (
        "from collections import Counter, deque as d\n",
        ("collections", "OrderedDict"),
        "from collections import Counter, OrderedDict, deque as d\n",
    ),
    "where there is none": (
        "def f():\n    pass\n",
        ("json", None),
        "import json\n\n\ndef f():\n    pass\n",
    ),
    "beside a name of a class's own": (
        "import os\n\n\nclass A:\n    json = 1\n\n    def json(self):\n        pass\n",
        ("json", None),
        "import json\nimport os\n\n\nclass A:\n    json = 1\n\n    def json(self):\n        pass\n",
    ),
    "beside the same, of which some runs know": (
        "import os\n\nif os.name:\n    from typing import Any\n",
        ("typing", "Any"),
        "import os\nfrom typing import Any\n\nif os.name:\n    from typing import Any\n",
    ),
    "no second time": ("import json as j\n\nx = j\n", ("json", None), None),
}


@pytest.mark.parametrize("name", IMPORTS)
def test_imports(name: str, tmp_path: Path) -> None:
    before, wanted, after = IMPORTS[name]
    edits = edits_of(tmp_path, before)
    imports.bring(edits, *wanted)
    if after is None:
        with pytest.raises(Unwritable):
            edits.result()
    else:
        assert edits.result() == after


TAKEN = {
    "another import": ("from datetime import time\n", ("time", None)),
    "another module by the name": ("import ujson as json\n", ("json", None)),
    "a module of the same package": ("from .collections import deque\n", ("collections", "deque")),
    "an import that may fail": ("try:\n    import httpx\nexcept ImportError:\n    httpx = None\n", ("httpx", None)),
    "a value": ("import os\n\njson: str = os.name\n", ("json", None)),
    "a function": ("def select():\n    pass\n", ("sqlalchemy", "select")),
    "a class": ("class Any:\n    pass\n", ("typing", "Any")),
    "a parameter": ("def f(json):\n    pass\n", ("json", None)),
    "a method's parameter": ("class A:\n    def f(self, json):\n        pass\n", ("json", None)),
    "a function's own": ("def f():\n    json = 1\n", ("json", None)),
    "a comprehension's own": ("def f(them):\n    return [json for json in them]\n", ("json", None)),
    "a value that hides the import": ("import re\n\nfor re in range(3):\n    pass\n", ("re", None)),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_name_that_is_taken_is_not_imported(name: str, tmp_path: Path) -> None:
    before, wanted = TAKEN[name]
    with pytest.raises(Unwritable, match="takes the name"):
        imports.bring(edits_of(tmp_path, before), *wanted)


@pytest.mark.parametrize(
    "text",
    [
        'x = 1  # é "ü"\ny = [\n\tx,\n]  ;  z = 2\n',
        "def f():\n  return   (x)\n\n\n\n# end",
        "if True:\n\tx = '''\n  text\n'''\n",
        "x = 1\r\ny = 2\r\n",
    ],
    ids=["odd blanks", "two blanks, no end", "tabs and texts", "CRLF"],
)
def test_the_rest_stays(text: str, tmp_path: Path) -> None:
    end = "\r\n" if "\r\n" in text else "\n"
    edits = edits_of(tmp_path, text)
    imports.bring(edits, "json")
    assert edits.result().replace(f"import json{end}", "", 1).lstrip(end) == text


def test_columns_are_characters_not_bytes(tmp_path: Path) -> None:
    edits = edits_of(tmp_path, 'x = ("é", slow(1), "é")\n')
    call = next(n for n in ast.walk(edits.text.tree) if isinstance(n, ast.Call))
    edits.swap(call, "quick(2)")
    assert edits.result() == 'x = ("é", quick(2), "é")\n'


def test_what_would_not_parse_is_refused(tmp_path: Path) -> None:
    edits = edits_of(tmp_path, "x = slow(1)\n")
    call = next(n for n in ast.walk(edits.text.tree) if isinstance(n, ast.Call))
    with pytest.raises(Unwritable):
        edits.swap(call, "slow(")
