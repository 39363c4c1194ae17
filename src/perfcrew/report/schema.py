"""The JSON schema of a report, as it is published: `python -m perfcrew.report.schema` writes it again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from perfcrew.core.report import Report

PUBLISHED = Path("docs/report-schema.json")


def schema() -> dict[str, Any]:
    """JSON Schema 2020-12 of the report's JSON."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Report.model_json_schema(mode="serialization"),
        "title": "perfcrew report",
    }


if __name__ == "__main__":
    PUBLISHED.write_text(json.dumps(schema(), indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
