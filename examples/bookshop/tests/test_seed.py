import shutil
from pathlib import Path

from bookshop.db import make_engine
from bookshop.models import Base
from bookshop.seed import seed
from conftest import url_of
from sqlalchemy import select


async def contents(url: str) -> dict[str, list[tuple[object, ...]]]:
    engine = make_engine(url)
    async with engine.connect() as connection:
        tables = Base.metadata.sorted_tables
        rows = {t.name: (await connection.execute(select(t).order_by(*t.primary_key))).all() for t in tables}
    await engine.dispose()
    return {name: [tuple(row) for row in found] for name, found in rows.items()}


async def filled(blank: Path, copy: Path, *sizes: int) -> dict[str, list[tuple[object, ...]]]:
    url = url_of(shutil.copy(blank, copy))
    for size in sizes:
        engine = make_engine(url)
        await seed(engine, size)
        await engine.dispose()
    return await contents(url)


async def test_topping_up_makes_the_same_shop_as_filling_at_once(blank: Path, tmp_path: Path) -> None:
    assert await filled(blank, tmp_path / "steps", 3, 9) == await filled(blank, tmp_path / "once", 9)


async def test_a_smaller_size_deletes_nothing(blank: Path, tmp_path: Path) -> None:
    assert len((await filled(blank, tmp_path / "shrunk", 6, 2))["books"]) == 6
