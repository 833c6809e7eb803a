"""The page of the JSON schemas, from the classes of the documents."""

from __future__ import annotations

from pathlib import Path

from docstrings import attributes, description
from schema_types import describe_type, escape

from kdcompress.runs.schemas import FILES, PRINTED

_README = Path(__file__).parents[1] / "schemas" / "README.md"


def page() -> str:
    """Write the page: the overview of docs/schemas, and the keys of each document."""
    documents = {**PRINTED, **{Path(name).stem: document for name, document in FILES.items()}}
    parts = [_README.read_text(encoding="utf-8").strip()]
    for name, document in documents.items():
        schema = document.json_schema()
        required, texts = schema.get("required", []), attributes(document)
        rows = []
        for key, value in schema["properties"].items():
            is_required = "yes" if key in required else ""
            rows.append(f"| `{key}` | {describe_type(value, 'object')} | {is_required} | {escape(texts[key])} |")
        parts += [f"## {name}", f"{description(document)} [Schema](schemas/{name}.schema.json)."]
        parts.append("\n".join(["| key | type | always there | meaning |", "|---|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"
