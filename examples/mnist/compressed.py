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

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from compressing import Study, Variant, collect, drops, made_by, table
from tables import listener
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


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="embedded digits, minutes")
    quick = parser.parse_args().quick
    work = HERE / ("work-quick" if quick else "work") / "compressed"
    os.environ.setdefault("KDCOMPRESS_CACHE_DIR", str(work.parent / "cache"))
    recipe, seeds = ("mnist-demo", range(2)) if quick else ("mnist", range(3))
    study = Study(recipe, lambda seed: {}, seeds, VARIANTS, "accuracy", work)
    with counting(work):
        found, runs = collect(study, listener())
    teacher = runs[0].result["teacher"]["metrics"]["accuracy"]
    text = f"""# MNIST: the student, compressed further

{made_by(f"compressed.py{' --quick' if quick else ''}", runs[0].result["dataset"], len(seeds), seconds_of(work))}
The teacher's accuracy is {100 * teacher:.2f} %.

{table(study, found)}

Bytes, gzip and FLOPs are ratios to the float32 file of the student; "gzip / bytes" is the file after gzip against the
float32 file as it is.

What each loses against the float32 student, seed by seed (ONNX, with the teacher):

{drops(study, found)}
"""
    results = work / "COMPRESSED.md" if quick else HERE / "COMPRESSED.md"
    results.write_text(text, encoding="utf-8")
    print(results)


if __name__ == "__main__":
    main()
