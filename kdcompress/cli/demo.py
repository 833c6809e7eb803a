"""`kdcompress demo`."""

from __future__ import annotations

from pathlib import Path

import typer

from kdcompress.cli._terminal import TRUST, log_of, working


def demo(
    source: Path = typer.Argument(..., metavar="RUN", help="A run, or RUN:NAME of one of its compressed students."),
    out: Path = typer.Option(None, help="The folder of the page. [default: RUN-demo beside the run]"),
    ort_web: str = typer.Option(
        None,
        metavar="FOLDER|cdn",
        help="onnxruntime-web: the folder of the npm package, or cdn for a page that loads it from a public server. "
        "[default: ./node_modules/onnxruntime-web]",
    ),
    samples: int = typer.Option(12, help="How many test images the page holds, 0 to 100."),
    data_dir: str = typer.Option(None, metavar="DIR|URL", help="Where the run's data lies now, if it was moved."),
    trust_code: bool = typer.Option(False, "--trust-code", help=TRUST),
    as_json: bool = typer.Option(False, "--json", help="What was written, as one JSON document on stdout."),
) -> None:
    """Write a page that runs the student beside its teacher in the browser.

    A folder of files for any web server, which needs no network: drop a picture, draw a digit, use the camera or click
    a test image, and see both answers, their times in that browser, sizes, and what was measured. The student's ONNX
    file is exported first where the run has none; an int8 one that it has can be chosen on the page. The browser runs
    them with onnxruntime-web, of one version whose hashes are checked. The page holds test images, class names and both
    models: publish it where these may be.

    \b
    npm install onnxruntime-web@1.30.0
    kdcompress demo runs/demo --out demo/
    python -m http.server --directory demo/
    """
    from kdcompress import api

    with working(log_of(source)) as terminal:
        result = api.demo(
            source,
            out=out,
            ort_web=ort_web,
            samples=samples,
            data_dir=data_dir,
            trust_code=trust_code,
            progress=terminal.progress,
        )
        if as_json:
            terminal.json(result)
        else:
            terminal.result(result["page"])
            terminal.progress.note(
                f"{result['bytes'] / 1e6:.1f} MB; to see it: python -m http.server --directory {result['out']}, then "
                "open http://localhost:8000"
            )
