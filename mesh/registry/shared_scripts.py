"""What Redis does for the registry in one step, as Lua.

`meta` holds `epoch`, when the table was begun (milliseconds of the server), `version`, `news`,
the last entry of the stream, and `looked`, when somebody last took expired leases out. A
server that has lost its keys begins another epoch.
"""

from __future__ import annotations

from typing import Final

_TABLE: Final = """
local meta, entries, leases, due, routes, news = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSETNX', meta, 'epoch', string.format('%.0f', now))

local function changed()
  local version = redis.call('HINCRBY', meta, 'version', 1)
  local id = redis.call('XADD', news, 'MAXLEN', 16, '*', 'version', version)
  redis.call('HSET', meta, 'news', id)
end

local function drop(name)
  redis.call('HDEL', entries, name)
  redis.call('HDEL', leases, name)
  redis.call('ZREM', due, name)
end

local function put(name, entry)
  if redis.call('HGET', entries, name) ~= entry then
    redis.call('HSET', entries, name, entry)
    changed()
  end
end
"""

REGISTER: Final = (
    _TABLE
    + """
local name, lease, lasts_ms, entry, most = unpack(ARGV)
if redis.call('HEXISTS', entries, name) == 0
    and redis.call('HLEN', entries) >= tonumber(most) then return 0 end
redis.call('HSET', leases, name, lease)
redis.call('ZADD', due, now + lasts_ms, name)
put(name, entry)
return 1
"""
)
"""Name, lease, how long it lasts, the entry, most entries; 0 when there are so many."""

RENEW: Final = (
    _TABLE
    + """
local name, lease, lasts_ms, entry = unpack(ARGV)
if redis.call('HGET', leases, name) ~= lease then return 0 end
redis.call('ZADD', due, now + lasts_ms, name)
if entry ~= '' then put(name, entry) end
return 1
"""
)
"""Name, lease, how long it lasts, the entry or nothing; 0 when the lease is not known."""

WITHDRAW: Final = (
    _TABLE
    + """
local name, lease = unpack(ARGV)
if redis.call('HGET', leases, name) == lease then
  drop(name)
  changed()
end
"""
)
"""Name and lease."""

ROUTE: Final = (
    _TABLE
    + """
local name, route = unpack(ARGV)
if route == '' then
  redis.call('HDEL', routes, name)
else
  redis.call('HSET', routes, name, route)
end
changed()
"""
)
"""Service and route, or nothing."""

LOOK: Final = (
    _TABLE
    + """
local pause_ms, epoch, version = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local missed = now - (tonumber(redis.call('HGET', meta, 'looked')) or now)
redis.call('HSET', meta, 'looked', string.format('%.0f', now))
if missed > pause_ms then
  for _, name in ipairs(redis.call('ZRANGE', due, 0, -1)) do
    redis.call('ZINCRBY', due, missed, name)
  end
end
local over = redis.call('ZRANGEBYSCORE', due, '-inf', now)
for _, name in ipairs(over) do drop(name) end
if #over > 0 then changed() end
local found = redis.call('HMGET', meta, 'epoch', 'version', 'news')
local head = {now, found[1], found[2] or '0', found[3] or '0-0', over}
if found[1] == epoch and head[3] == version then return head end
head[6], head[7] = redis.call('HVALS', entries), redis.call('HVALS', routes)
return head
"""
)
"""After which pause leases are prolonged, the epoch and version that are known.

Takes expired leases out. Answers the time, epoch, version, last news, who was taken out, and
entries and routes when these are others than known.
"""
