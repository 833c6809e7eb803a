"""The paper's MNIST student, compressed further: what each way costs and brings, with the teacher and without.

    python compressed.py            the whole MNIST, 3 seeds (an hour and more on 2 cores): COMPRESSED.md here
    python compressed.py --quick    5,000 embedded digits, 2 seeds (minutes)

Everything made lies in work/ (or work-quick/), and what is there is not made again: stop it and start it as you like.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from compressing import ONNX, TFLITE, Measured, Variant, drops, made_by, measure, table
from tabling import counting, seconds_of

HERE = Path(__file__).resolve().parent
VARIANTS = (
    Variant("float32"),
    Variant("int8 after training", precision="int8"),
    Variant("int8, trained", {"qat": "native", "ship": "trained"}, "int8"),
    Variant("80 % zeros", {"prune": 0.8}),
    Variant("16 clusters", {"cluster": 16}),
    Variant("zeros, clusters, trained int8", {"prune": 0.8, "cluster": 16, "qat": "native"}, "int8"),
    Variant("half the channels", {"channels": 0.5}),
    Variant("half the channels, int8 after training", {"channels": 0.5}, "int8"),
)


def listener() -> Any:
    """Says what takes minutes, and nothing of single epochs."""
    from kdcompress.progress import Progress

    class Short(Progress):
        def note(self, text: str) -> None:
            print(f"    {text}", flush=True)

    return Short()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="embedded digits, minutes")
    quick = parser.parse_args().quick
    work = HERE / ("work-quick" if quick else "work") / "compressed"
    os.environ.setdefault("KDCOMPRESS_CACHE_DIR", str(work.parent / "cache"))
    recipe, seeds = ("mnist-demo", range(2)) if quick else ("mnist", range(3))
    import kdcompress

    found: dict[tuple[str, str, bool], list[Measured]] = {}
    with counting(work):
        for seed in seeds:
            for taught in (True, False):
                method = {} if taught else {"method": "none"}
                out = work / f"{'taught' if taught else 'alone'}-s{seed}"
                run = kdcompress.distill(recipe, out=out, seed=seed, baseline=False, progress=listener(), **method)
                for variant in VARIANTS:
                    for kind in (ONNX, TFLITE):
                        one = measure(run.path, variant, kind, None, listener())
                        found.setdefault((variant.name, kind, taught), []).append(one)
                        print(f"{out.name}: {variant.name}, {kind}: {100 * one.metric:.2f} %", flush=True)
    teacher = run.result["teacher"]["metrics"]["accuracy"]
    text = f"""# MNIST: the student, compressed further

{made_by(f"compressed.py{' --quick' if quick else ''}", run.result["dataset"], len(seeds), seconds_of(work))}
The teacher's accuracy is {100 * teacher:.2f} %.

{table(VARIANTS, (ONNX, TFLITE), found, "accuracy")}

Bytes, gzip and FLOPs are ratios to the float32 file of the student; "gzip / bytes" is the file after gzip against the
float32 file as it is.

What each loses against the float32 student, seed by seed (ONNX, with the teacher):

{drops(VARIANTS, ONNX, found)}
"""
    results = work / "COMPRESSED.md" if quick else HERE / "COMPRESSED.md"
    results.write_text(text, encoding="utf-8")
    print(results)


if __name__ == "__main__":
    main()
