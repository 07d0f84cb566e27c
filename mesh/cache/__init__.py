"""Caches of what can be had again from its source. Never personal data.

views = Cached(parts.cache, load, of=product_pb2.Product, name="views", ttl_s=5)
product = await views.get("7")
"""

from mesh.cache._cache import Cache, LocalCache
from mesh.cache._cached import Cached, PersonalDataError

__all__ = ["Cache", "Cached", "LocalCache", "PersonalDataError"]
