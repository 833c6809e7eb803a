"""The paper's MNIST student, compressed further: what each way costs and brings, with the teacher and without.

    python compressed.py            the whole MNIST, 3 seeds (an hour and more on 2 cores): COMPRESSED.md here
    python compressed.py --quick    5,000 embedded digits, 2 seeds (minutes)

Everything made lies in work/ (or work-quick/), every figure in compressed.json beside COMPRESSED.md, and what is there
is not made again: stop it and start it as you like.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from compressing import Study, Variant, collect, drops, made_by, seconds_of, table
from tables import listener

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
    parser.add_argument("--seeds", type=int, help="number of seeds, each with a teacher of its own: 3, quick 2")
    arguments = parser.parse_args()
    quick = arguments.quick
    work = HERE / ("work-quick" if quick else "work") / "compressed"
    os.environ.setdefault("KDCOMPRESS_CACHE_DIR", str(work.parent / "cache"))
    recipe, seeds = ("mnist-demo", range(arguments.seeds or 2)) if quick else ("mnist", range(arguments.seeds or 3))
    folder = work if quick else HERE
    study = Study(recipe, lambda seed: {}, seeds, VARIANTS, "accuracy", work, folder / "compressed.json")
    found, facts = collect(study, listener())
    teacher = facts[0]["teacher"]["metrics"]["accuracy"]
    text = f"""# MNIST: the student, compressed further

{made_by(f"compressed.py{' --quick' if quick else ''}", facts[0]["dataset"], len(seeds), seconds_of(facts))}
The teacher's accuracy is {100 * teacher:.2f} %.

{table(study, found)}

Bytes, gzip and FLOPs are ratios to the float32 file of the student; "gzip / bytes" is the file after gzip against the
float32 file as it is.

How far each is from the float32 student, seed by seed (ONNX, with the teacher; below 0 is a loss):

{drops(study, found)}
"""
    results = folder / "COMPRESSED.md"
    results.write_text(text, encoding="utf-8")
    print(results)


if __name__ == "__main__":
    main()
