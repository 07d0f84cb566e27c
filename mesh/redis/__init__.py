"""Redis: a client under deadlines, and what is built on it."""

from mesh.redis._cache import RedisCache
from mesh.redis._client import BlockingConnection, RedisClient, Script, open_redis
from mesh.redis._errors import RedisRefused, RedisUnavailable
from mesh.redis._limiter import Grant, RedisLimiter

__all__ = [
    "BlockingConnection",
    "Grant",
    "RedisCache",
    "RedisClient",
    "RedisLimiter",
    "RedisRefused",
    "RedisUnavailable",
    "Script",
    "open_redis",
]
