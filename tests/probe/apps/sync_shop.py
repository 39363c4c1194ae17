"""The same faults in sync code: SQLAlchemy's ORM and raw drivers, under Flask."""

import os
import sqlite3

from flask import Flask
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, joinedload, mapped_column, relationship

path = os.environ["APP_DATABASE"]
engine = create_engine(f"sqlite:///{path}")


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
    author: Mapped[Author] = relationship()


Base.metadata.create_all(engine)
with Session(engine) as filling:
    filling.add_all([Author(id=n, name=f"a{n}") for n in range(1, 13)])
    filling.add_all([Book(id=n, title=f"t{n}", author_id=n % 12 + 1) for n in range(1, 25)])
    filling.commit()
app = Flask(__name__)


def described(book):
    return f"{book.title} by {book.author.name}"  # mark: lazy


@app.get("/lazy")
def lazy():
    with Session(engine) as session:
        return [described(book) for book in session.scalars(select(Book).limit(12))]


@app.get("/gets")
def gets():
    with Session(engine) as session:
        return [session.get(Author, key).name for key in range(1, 9)]  # mark: gets


@app.get("/raw")
def raw():
    connection = sqlite3.connect(path)
    names = []
    for key in range(1, 9):
        names.append(connection.execute("select name from author where id = ?", (key,)).fetchone()[0])  # mark: raw
    connection.close()
    return names


@app.post("/writes")
def writes():
    with Session(engine) as session:
        for key in range(8):
            session.add(Book(title=f"n{key}", author_id=1))
            session.flush()  # mark: writes
        session.rollback()
    return {}


@app.get("/joined")
def joined():
    with Session(engine) as session:
        return [book.author.name for book in session.scalars(select(Book).options(joinedload(Book.author)))]


@app.get("/twice")
def twice():
    with Session(engine) as session:
        kept = session.get(Author, 1)
        return [session.get(Author, 1).name for _ in range(8)] + [kept.name]
