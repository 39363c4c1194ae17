"""An application that asks engines without SQL, traced by its own OpenTelemetry as their instrumentors trace it."""

import os
import time
from contextlib import contextmanager

from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind

trace.set_tracer_provider(TracerProvider())
app = FastAPI()
WAIT_S = float(os.environ.get("APP_WAIT", "0.001"))


@contextmanager
def asked(scope, name, **attributes):
    named = {key.replace("__", "."): value for key, value in attributes.items()}
    tracer = trace.get_tracer(scope)
    with tracer.start_as_current_span(name, kind=SpanKind.CLIENT, attributes=named):  # mark: asked
        time.sleep(WAIT_S)
        yield


def mongo(command, collection, **more):
    """As opentelemetry-instrumentation-pymongo does."""
    return asked(
        "opentelemetry.instrumentation.pymongo",
        f"shop.{command}",
        db__system="mongodb",
        db__name="shop",
        db__statement=f"{command} {collection}",
        **more,
    )


def cypher(text):
    """By the present conventions."""
    return asked("neo4j", "MATCH", db__system__name="neo4j", db__query__text=text)


def search(path, operation):
    """As the Elasticsearch client itself does."""
    return asked(
        "elasticsearch-api",
        operation,
        db__system="elasticsearch",
        db__operation=operation,
        url__full=f"http://search.test{path}",
        db__elasticsearch__path_parts__index="books",
    )


@app.get("/mongo")
def find_each():
    for _ in range(8):
        with mongo("find", "authors"):  # mark: mongo
            pass
    return {}


@app.get("/mongo_once")
def find_all():
    with mongo("find", "books"), mongo("find", "authors"):
        pass
    return {}


@app.post("/mongo_writes")
def insert_each():
    for _ in range(8):
        with mongo("insert", "books"):  # mark: mongo_writes
            pass
    return {}


@app.get("/neo4j")
def match_each():
    for key in range(8):
        with cypher(f"MATCH (b:Book {{id: {key}}})-[:BY]->(a:Author) RETURN a.name"):  # mark: neo4j
            pass
    return {}


@app.get("/neo4j_again")
def match_again():
    for _ in range(8):
        with cypher("MATCH (s:Setting {key: 'currency'}) RETURN s.value"):  # mark: neo4j_again
            pass
    return {}


@app.get("/elastic")
def get_each():
    for key in range(8):
        with search(f"/books/_doc/{key}", "get"):  # mark: elastic
            pass
    return {}


@app.get("/elastic_slow")
def search_slowly():
    with search("/books/_search", "search"):
        time.sleep(0.13)
    return {}
