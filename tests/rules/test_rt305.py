"""RT305 slow start: cases that must be found, and look-alikes that must not."""

import pytest

from perfcrew.core.evidence import ImportCost, Startup
from perfcrew.core.scene import ApplicationScene, Seen
from perfcrew.core.web import Place

from .build import App, Found, Silent, application, check_found, run

CUSTOMS = """
from itertools import product

COUNTRIES = tuple(a for a in "ABC")

def points(country):
    return [country] * 100

TARIFF = {place: points(place) for place in product(COUNTRIES)}  # table

def duty(country):
    return TARIFF[country]
"""
ADMIN = """
import pandas  # pandas
from shop import customs  # imports
"""


def started(app: App, *costs: ImportCost, median_ms: float = 1500.0) -> ApplicationScene:
    app.write("src/shop/customs.py", CUSTOMS)
    app.write("src/shop/admin.py", ADMIN)
    body = Startup(start_ms=(median_ms,) * 3, median_ms=median_ms, imports=costs, imports_total_ms=900)
    return application(app, startup=Seen("startup-1", body))


def importer(app: App, needle: str) -> Place:
    app.write("src/shop/admin.py", ADMIN)
    return app.place("src/shop/admin.py", needle, "<module>")


def customs(app: App, own_ms: float = 500.0, place: bool = True) -> ImportCost:
    at = Place(file="src/shop/customs.py", line=1, function="<module>") if place else None
    return ImportCost(
        module="shop.customs", own_ms=own_ms, cumulative_ms=own_ms + 20, importer=importer(app, "# imports"), place=at
    )


def library(app: App, module: str, cumulative_ms: float = 600.0, used: bool = True) -> ImportCost:
    return ImportCost(
        module=module, own_ms=5.0, cumulative_ms=cumulative_ms, importer=importer(app, "# pandas") if used else None
    )


FOUND = {
    "a table computed at import": Found(
        lambda app: started(app, customs(app)),
        "src/shop/customs.py",
        "# table",
        "medium",
        "# imports",
        "shop.customs",
        "src/shop/admin.py",
    ),
    "its file found by its name": Found(
        lambda app: started(app, customs(app, place=False)), "src/shop/customs.py", "# table", "medium"
    ),
    "most of a slow start": Found(
        lambda app: started(app, customs(app, 2400), median_ms=4000), "src/shop/customs.py", "# table", "high"
    ),
    "a heavy library": Found(
        lambda app: started(app, library(app, "pandas")), "src/shop/admin.py", "# pandas", "medium", None, "pandas"
    ),
}

SILENT: dict[str, Silent] = {
    "little time": lambda app: started(app, customs(app, 60)),
    "little of the start": lambda app: started(app, customs(app, 250), median_ms=20_000),
    "slow because of what it imports": lambda app: started(
        app,
        ImportCost(module="shop.customs", own_ms=3, cumulative_ms=900, place=Place(file="src/shop/customs.py", line=1)),
    ),
    "the framework": lambda app: started(app, library(app, "fastapi")),
    "the database layer": lambda app: started(app, library(app, "sqlalchemy", 900)),
    "a library that a library imports": lambda app: started(app, library(app, "numpy", used=False)),
    "a part of a package": lambda app: started(app, library(app, "pandas.core.api")),
    "not measured": application,
}


@pytest.mark.parametrize("case", FOUND.values(), ids=FOUND)
def test_found(app: App, case: Found) -> None:
    check_found("RT305", app, case)


@pytest.mark.parametrize("build", SILENT.values(), ids=SILENT)
def test_silent(app: App, build: Silent) -> None:
    assert run("RT305", app, build(app)) == []
