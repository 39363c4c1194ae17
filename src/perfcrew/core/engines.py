"""Databases without SQL, as OpenTelemetry's spans tell of them: MongoDB, Neo4j, Elasticsearch and their like.

Their requests are told by what is done and to what (`find books`), which is a shape without values; Cypher stays as it
is. OpenTelemetry's semantic conventions for database spans, the present ones and those before 1.30.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

_OLD = {
    "db.system": "db.system.name",
    "db.statement": "db.query.text",
    "db.operation": "db.operation.name",
    "db.name": "db.namespace",
    "db.mongodb.collection": "db.collection.name",
    "db.cassandra.table": "db.collection.name",
    "db.elasticsearch.path_parts.index": "db.collection.name",
}
DOCUMENTS = frozenset({"mongodb", "elasticsearch", "opensearch", "couchdb", "dynamodb", "aws.dynamodb", "cosmosdb"})
GRAPHS = frozenset({"neo4j", "memgraph"})
ELSEWHERE = DOCUMENTS | GRAPHS
"""Engines that no hook of the probe covers, and whose requests are no SQL."""

_READS = (
    r"find|findOne|aggregate|count|countDocuments|distinct|getMore|search|msearch|mget|get|query|scan|exists|explain"
)
_WRITES = r"insert|update|delete|findAndModify|bulkWrite|bulk|index|create|put|remove"
_DOCUMENT = re.compile(rf"(?P<verb>{_READS}|{_WRITES}) (?P<of>[\w.$*,<>/-]+)\Z")
_READING = re.compile(rf"(?:{_READS}) ")
_CYPHER = re.compile(r"\s*(?:OPTIONAL\s+MATCH|MATCH|UNWIND|(?:MERGE|CREATE|CALL)\s*[({])", re.IGNORECASE)
_CYPHER_WRITES = re.compile(r"\b(CREATE|MERGE|SET|DELETE|DETACH|REMOVE|FOREACH|LOAD)\b", re.IGNORECASE)
_CYPHER_VALUES = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\$\w+|(?<![\w.])-?\d+(?:\.\d+)?\b")
_ENDPOINT = re.compile(r"/_(?P<verb>[a-z]+)")


def is_elsewhere(statement: str) -> bool:
    """Whether a statement's text is one of these engines' own."""
    return bool(_DOCUMENT.match(statement) or _CYPHER.match(statement))


def shape(statement: str) -> str:
    """The statement without its values; of a document engine it has none."""
    return " ".join(_CYPHER_VALUES.sub("?", statement).split()) if _CYPHER.match(statement) else statement


def is_read(statement: str) -> bool:
    """Whether it changes nothing, by its text."""
    if _CYPHER.match(statement):
        return not _CYPHER_WRITES.search(_CYPHER_VALUES.sub("?", statement))
    return bool(_READING.match(statement))


def evened(attributes: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A span's attributes by the present conventions; of an engine without SQL with the text that the rules go by.

    Values that a document's statement holds are left out of it; a digest tells equal ones apart where they were there.
    """
    told = {_OLD.get(key, key): value for key, value in attributes.items()}
    system = str(told.get("db.system.name") or "")
    if system not in ELSEWHERE:
        return dict(attributes)
    sent = str(told.get("db.query.text") or "")
    text = _document(told, name, sent) if system in DOCUMENTS else sent
    told["db.query.text"] = text
    told["perfcrew.db.parameters_digest"] = _digest(system, sent)
    told.pop("perfcrew.db.parameters", None)
    return {key: value for key, value in told.items() if value is not None and value != ""}


def _document(told: Mapping[str, Any], name: str, sent: str) -> str:
    """`find books`: from the attributes, else from the statement or the address."""
    path = urlsplit(str(told.get("elasticsearch.url") or told.get("url.full") or "")).path
    verb = str(told.get("db.operation.name") or "") or _verb(path, sent, name)
    of = str(told.get("db.collection.name") or "") or _of(path, sent)
    return f"{verb} {of or '*'}" if verb else ""


def _verb(path: str, sent: str, name: str) -> str:
    endpoint = _ENDPOINT.search(path)
    if endpoint:
        verb = endpoint["verb"]
        return "get" if verb in ("doc", "source") else verb
    first = re.match(r"\w+", sent)
    return first.group() if first else name.rpartition(".")[2]


def _of(path: str, sent: str) -> str:
    """The index is the first part of the address; a command names its collection second."""
    first = next((p for p in path.split("/") if p and not p.startswith("_")), "")
    words = sent.split(maxsplit=2)
    return first or (words[1] if len(words) > 1 and re.fullmatch(r"[\w.-]+", words[1]) else "")


def _digest(system: str, sent: str) -> str | None:
    """None where the values were not told: by name in Cypher, as `?` or not at all in a document."""
    told = "$" not in sent if system in GRAPHS else "{" in sent and "?" not in sent
    return hashlib.sha1(sent.encode(), usedforsecurity=False).hexdigest()[:16] if told and sent else None
