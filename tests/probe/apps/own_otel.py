"""A FastAPI application that traces itself, with a sampler that drops nearly everything."""

import os

from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

exported: list[str] = []


class ToMemory(SpanExporter):
    def export(self, spans):
        exported.extend(f"{span.instrumentation_scope.name}:{span.name}" for span in spans)
        return SpanExportResult.SUCCESS


provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(ToMemory()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("shop")
app = FastAPI()
import sqlite3  # noqa: E402


@app.get("/priced")
def priced() -> bool:
    with tracer.start_as_current_span("price"):
        sqlite3.connect(os.environ["APP_DATABASE"]).execute("select 1").fetchall()  # mark: price
    return trace.get_tracer_provider() is provider


@app.get("/exported")
def seen() -> list[str]:
    return exported
