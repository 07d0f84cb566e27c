"""The registry's table for gRPC clients of any language, by xDS."""

from mesh.registry.xds.handler import Ads

__all__ = ["Ads"]
