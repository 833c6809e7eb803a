"""MobileNetV2 on EBHI-Seg at 96 px, compressed further: what each way costs and brings, with the teacher and without.

    python compressed.py            3 seeds (two hours on 2 cores): COMPRESSED.md here
    python compressed.py --seeds 1  one seed, no intervals

Everything made lies in work-ebhi/, every figure in compressed.json beside COMPRESSED.md, and what is there is not made
again: stop it and start it as you like. The data are found as `kdcompress data get ebhi-seg` says; ImageNet weights are
those in KDCOMPRESS_DATA_DIR/weights, or Keras's own.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from compressing import Study, Variant, collect, drops, made_by, seconds_of, table
from tables import EBHI, listener, weights

HERE = Path(__file__).resolve().parent
VARIANTS = (
    Variant("float32"),
    Variant("int8 after training", precision="int8"),
    Variant("int8, trained", {"qat": "native", "ship": "trained"}, "int8"),
    Variant("30 % of the channels removed", {"channels": 0.3}),
    Variant("50 % of the channels removed", {"channels": 0.5}),
    Variant("30 % of the channels removed, int8 after training", {"channels": 0.3}, "int8"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds, each with a teacher of its own")
    seeds = range(parser.parse_args().seeds)
    work = EBHI.work / "compressed"
    os.environ.setdefault("KDCOMPRESS_CACHE_DIR", str(EBHI.work / "cache"))

    def settings(seed: int) -> dict[str, Any]:
        return {**weights(), **EBHI.settings, "teacher.seed": seed}

    study = Study(EBHI.recipe, settings, seeds, VARIANTS, "AUC", work, HERE / "compressed.json")
    found, facts = collect(study, listener())
    teachers = [f"{100 * one['teacher']['metrics']['auc']:.2f} %" for one in facts]
    text = f"""# EBHI-Seg at 96 px: MobileNetV2, compressed further

{made_by("compressed.py", facts[0]["dataset"], len(seeds), seconds_of(facts))}
The AUC of the teachers, a ResNet50V2 for each seed: {", ".join(teachers)}.

{table(study, found)}

Bytes, gzip and FLOPs are ratios to the float32 file of the student.

How far each is from the float32 student, seed by seed (ONNX, with the teacher; below 0 is a loss):

{drops(study, found)}
"""
    results = HERE / "COMPRESSED.md" if len(seeds) > 1 else work / "COMPRESSED.md"
    results.write_text(text, encoding="utf-8")
    print(results)


if __name__ == "__main__":
    main()
