"""Write the JSON schemas of the documents that commands leave and print: python docs/make_schemas.py."""

from __future__ import annotations

import json
from pathlib import Path

from kdcompress.runs.documents import schemas

for name, schema in schemas().items():
    path = Path(__file__).parent / "schemas" / f"{name}.schema.json"
    text = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    path.write_text(json.dumps(text, indent=2) + "\n", encoding="utf-8")
