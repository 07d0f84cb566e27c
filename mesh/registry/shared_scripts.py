"""What Redis does for the registry in one step, as Lua.

`meta` holds `epoch`, when the table was begun (milliseconds of the server), `version`, `news`,
the last entry of the stream, `looked`, when somebody last took expired leases out, and `heard`,
when an instance was last heard of. A server that has lost its keys begins another epoch. The
rules of expiry are those of `mesh.registry.leases`.
"""

from __future__ import annotations

from typing import Final

from mesh.registry.addresses import NAME
from mesh.registry.leases import PATIENCE, PAUSE_S, QUIET

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

local function add_to_all(ms)
  for _, name in ipairs(redis.call('ZRANGE', due, 0, -1)) do
    redis.call('ZINCRBY', due, ms, name)
  end
end

local function ago(field) return now - (tonumber(redis.call('HGET', meta, field)) or now) end

local function mark(field, at) redis.call('HSET', meta, field, string.format('%.0f', at)) end

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

_HEAR: Final = f"""
local function hear(name, lasts_ms)
  if string.sub(name, 1, {len(NAME) + 1}) == '{NAME}/' then return end
  if ago('heard') > {QUIET} * lasts_ms then
    for _, other in ipairs(redis.call('ZRANGE', due, 0, -1)) do
      redis.call('ZADD', due, 'GT', now + lasts_ms, other)
    end
  end
  mark('heard', now)
end
"""

REGISTER: Final = (
    _TABLE
    + _HEAR
    + """
local name, lease, lasts_ms, entry, most = unpack(ARGV)
if redis.call('HEXISTS', entries, name) == 0
    and redis.call('HLEN', entries) >= tonumber(most) then return 0 end
hear(name, lasts_ms)
redis.call('HSET', leases, name, lease)
redis.call('ZADD', due, now + lasts_ms, name)
put(name, entry)
return 1
"""
)
"""Name, lease, how long it lasts, the entry, most entries; 0 when there are so many."""

RENEW: Final = (
    _TABLE
    + _HEAR
    + """
local name, lease, lasts_ms, entry = unpack(ARGV)
if redis.call('HGET', leases, name) ~= lease then return 0 end
hear(name, lasts_ms)
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
    + f"local PAUSE_MS, QUIET, PATIENCE = {PAUSE_S * 1_000}, {QUIET}, {PATIENCE}"
    + """
local lasts_ms, epoch, version = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local missed = ago('looked')
mark('looked', now)
if missed > PAUSE_MS then
  mark('heard', now - ago('heard') + missed)
  add_to_all(missed)
end
local over, silence = {}, ago('heard')
if silence <= QUIET * lasts_ms or silence >= PATIENCE * lasts_ms then
  over = redis.call('ZRANGEBYSCORE', due, '-inf', now)
end
for _, name in ipairs(over) do drop(name) end
if #over > 0 then changed() end
local found = redis.call('HMGET', meta, 'epoch', 'version', 'news')
local head = {now, found[1], found[2] or '0', found[3] or '0-0', over}
if found[1] == epoch and head[3] == version then return head end
head[6], head[7] = redis.call('HVALS', entries), redis.call('HVALS', routes)
return head
"""
)
"""How long a lease lasts, the epoch and version that are known.

Takes expired leases out. Answers the time, epoch, version, last news, who was taken out, and
entries and routes when these are others than known.
"""
