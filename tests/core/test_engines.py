"""Spans of engines without SQL, by the conventions that their instrumentors have followed."""

from __future__ import annotations

from typing import Any

import pytest

from perfcrew.core import engines
from perfcrew.core.sql import is_read, parse, shape

SPANS: dict[str, tuple[dict[str, Any], str, str, bool]] = {
    "pymongo's instrumentor": (
        {"db.system": "mongodb", "db.statement": "find books"},
        "shop.find",
        "find books",
        False,
    ),
    "pymongo's, with the statement captured": (
        {"db.system": "mongodb", "db.statement": "find books {'_id': 'secret'}", "db.mongodb.collection": "books"},
        "shop.find",
        "find books",
        True,
    ),
    "the present conventions": (
        {"db.system.name": "mongodb", "db.operation.name": "aggregate", "db.collection.name": "books"},
        "aggregate books",
        "aggregate books",
        False,
    ),
    "Elasticsearch's instrumentor": (
        {
            "db.system": "elasticsearch",
            "elasticsearch.url": "/books/_search",
            "db.statement": "{'query': {'match': {'title': '?'}}}",
        },
        "Elasticsearch/books/_search",
        "search books",
        False,
    ),
    "Elasticsearch's own client": (
        {"db.system": "elasticsearch", "db.operation": "get", "db.elasticsearch.path_parts.index": "books"},
        "get",
        "get books",
        False,
    ),
    "a document by its address": (
        {"db.system": "opensearch", "elasticsearch.url": "/books/_doc/7"},
        "OpenSearch",
        "get books",
        False,
    ),
    "Cypher with parameters": (
        {"db.system": "neo4j", "db.statement": "MATCH (b:Book {id: $id}) RETURN b"},
        "MATCH",
        "MATCH (b:Book {id: $id}) RETURN b",
        False,
    ),
    "Cypher with values": (
        {"db.system.name": "neo4j", "db.query.text": "MATCH (b:Book {id: 7}) RETURN b"},
        "MATCH",
        "MATCH (b:Book {id: 7}) RETURN b",
        True,
    ),
}


@pytest.mark.parametrize(("attributes", "name", "text", "told"), SPANS.values(), ids=SPANS)
def test_what_was_asked(attributes: dict[str, Any], name: str, text: str, told: bool) -> None:
    made = engines.evened(attributes, name)
    assert made["db.query.text"] == text
    assert bool(made.get("perfcrew.db.parameters_digest")) is told
    assert "secret" not in str(made)
    assert parse(text) is None, "it is no SQL"


@pytest.mark.parametrize("system", ["postgresql", "sqlite", "redis", "mysql", ""])
def test_other_spans_stay_as_they_are(system: str) -> None:
    given = {"db.system.name": system, "db.query.text": "SELECT 1", "db.statement": "x"}
    assert engines.evened(given, "SELECT") == given


READS = {
    "find books": True,
    "aggregate books": True,
    "search books": True,
    "insert books": False,
    "update books": False,
    "MATCH (b:Book) RETURN b": True,
    "MATCH (b:Book) WHERE b.title = 'SET x' RETURN b": True,
    "OPTIONAL MATCH (b) RETURN b": True,
    "UNWIND $rows AS row CREATE (b:Book) SET b = row": False,
    "MATCH (b:Book) DETACH DELETE b": False,
    "SELECT 1": True,
    "MERGE INTO book USING new ON book.id = new.id WHEN MATCHED THEN DELETE": False,
    "UPDATE book SET a = 1": False,
    "CREATE TABLE t (a int)": False,
}


@pytest.mark.parametrize(("statement", "reads"), READS.items(), ids=READS)
def test_what_reads(statement: str, reads: bool) -> None:
    assert is_read(statement) is reads


def test_the_shape_of_cypher_keeps_its_labels() -> None:
    one = shape("MATCH (:Book {id: 7, name: 'a'})-[:BY]->(a:Author) RETURN a")
    assert one == shape('MATCH (:Book {id: 8, name: "b"})-[:BY]->(a:Author)  RETURN a') == shape(one)
    assert ":Book" in one and ":Author" in one and "7" not in one
