"""Bundles: one file with which another machine checks and times the exports of a run."""

from kdcompress.bundling._bundle import make_bundle
from kdcompress.bundling._request import BundleRequest, make_bundle_request

__all__ = ["BundleRequest", "make_bundle", "make_bundle_request"]
