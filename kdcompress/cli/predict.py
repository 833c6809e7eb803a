"""`kdcompress predict`."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import typer

from kdcompress.cli._printable import warn_names_not_utf8
from kdcompress.cli._terminal import TRUST, working
from kdcompress.errors import DataError


def predict(
    model: Path = typer.Argument(
        ..., help="A model file of any kind that export writes, or a run folder (its student then)."
    ),
    images: list[Path] = typer.Argument(..., help="Image files, and folders that are searched for them."),
    csv_file: Path = typer.Option(None, "--csv", help="Also write the predictions to this CSV file."),
    trust_code: bool = typer.Option(False, "--trust-code", help=TRUST),
    as_json: bool = typer.Option(False, "--json", help="The predictions as one JSON document on stdout."),
) -> None:
    """Classify image files with a model: the most likely class of each and its probability.

    \b
    kdcompress predict runs/demo digit.png
    kdcompress predict runs/demo/student.keras photos/ --csv predictions.csv
    """
    from kdcompress import api, prediction
    from kdcompress.runs.schemas import Predictions

    with working() as terminal:
        rows, refused = api.predict_files(model, images, trust_code, terminal.progress)
        if csv_file:
            prediction.write_csv(csv_file, rows)
            warn_names_not_utf8([row["image"] for row in rows], csv_file, terminal.progress)
        if as_json:
            terminal.json(Predictions.of({"model": str(model), "predictions": rows, "refused": refused}))
        else:
            for row in rows:
                text = io.StringIO()
                csv.writer(text, delimiter="\t", lineterminator="").writerow(
                    [row["image"], row["class"], f"{row['probability']:.4f}"]
                )
                terminal.result(text.getvalue())
        for reason in refused.values():
            terminal.progress.warn(reason)
    if refused:
        raise DataError(f"{len(refused)} of {len(rows) + len(refused)} images could not be read")
