"""The functions of the Python interface, which connect the packages below them."""

from kdcompress.api._bench import bench
from kdcompress.api._bundle import bundle
from kdcompress.api._compress import compress, plan_compression
from kdcompress.api._demo import demo
from kdcompress.api._distill import distill, distill_resolved, plan
from kdcompress.api._export import explain, export
from kdcompress.api._predict import predict, predict_files
from kdcompress.api._recipe import default_out, recipe_of
from kdcompress.api._report import report
from kdcompress.api._source import Run
from kdcompress.api._suggest import suggest
from kdcompress.api._sweep import default_sweep, sweep
from kdcompress.api._verify import verify, verify_files

__all__ = [
    "Run",
    "bench",
    "bundle",
    "compress",
    "default_out",
    "default_sweep",
    "demo",
    "distill",
    "distill_resolved",
    "explain",
    "export",
    "plan",
    "plan_compression",
    "predict",
    "predict_files",
    "recipe_of",
    "report",
    "suggest",
    "sweep",
    "verify",
    "verify_files",
]
