"""A small FastAPI application on SQLAlchemy; its database is named by SHOP_DB, else by a file beside it."""

import enum
import os
from pathlib import Path

from fastapi import FastAPI
from sqlalchemy import String, create_engine, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

URL = os.environ.get("SHOP_DB") or f"sqlite:///{Path(__file__).resolve().parent / 'shop.db'}"
engine = create_engine(URL)


class Base(DeclarativeBase):
    pass


class Mood(enum.Enum):
    GLAD = 1
    SAD = 2


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(80))


class Letter(Base):
    __tablename__ = "letter"
    id: Mapped[int] = mapped_column(primary_key=True)
    mood: Mapped[Mood]


Base.metadata.create_all(engine)
app = FastAPI()


@app.get("/")
def count() -> dict[str, object]:
    with Session(engine) as session:
        session.add(Book(title="written by the target"))
        session.commit()
        return {"books": session.scalar(select(func.count()).select_from(Book)), "file": __file__}


@app.get("/letters")
def letters() -> list[str]:
    with Session(engine) as session:
        return [letter.mood.name for letter in session.scalars(select(Letter))]


def seed(rows: int) -> None:
    with Session(engine) as session:
        session.add_all(Book(title=f"seed {i}") for i in range(rows))
        session.commit()


if __name__ == "__main__":
    import sys

    seed(int(sys.argv[1]))
