"""One ledger for all tests of the report, which read it and never write."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from perfcrew.core.report import Report
from perfcrew.ledger import Ledger
from perfcrew.report.compose import compose
from tests.report.make_ledger import RUN, make


@pytest.fixture(scope="session")
def shop_ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with make(tmp_path_factory.mktemp("shop")) as ledger:
        yield ledger


@pytest.fixture(scope="session")
def report(shop_ledger: Ledger) -> Report:
    return compose(shop_ledger, RUN)
