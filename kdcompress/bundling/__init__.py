"""Bundles: one file with which another machine checks and times the exports of a run."""

from kdcompress.bundling._bundle import make_bundle
from kdcompress.bundling._remote import bench_on_device
from kdcompress.bundling._remote_request import RemoteRequest, make_remote_request
from kdcompress.bundling._request import BundleRequest, make_bundle_request
from kdcompress.bundling._result import import_result, keep_result

__all__ = [
    "BundleRequest", "RemoteRequest", "bench_on_device", "import_result", "keep_result", "make_bundle",
    "make_bundle_request", "make_remote_request",
]  # fmt: skip
