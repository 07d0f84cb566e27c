"""What Redis does for a log in one step, as Lua.

KEYS are the tip (a hash), the log (a sorted set of entries by their numbers) and the
cuts (a sorted set of those entries that have a source, by that). Numbers of 64 bits
stay text: Lua would round them.

`run` names the life of a server: it changes when Redis starts again, when a replica is
promoted, and when the slot moves to another node. A tip of another life may be older
than the one that was acknowledged.
"""

from __future__ import annotations

from typing import Final

FIELDS: Final = ("number", "mark", "epoch", "position", "fence", "tails")
"""What the tip has of a `Tip`, beside `run`, `lineage` and, while one is asked for, `claim`."""

_RUN: Final = """#!lua
local function run()
  local info = redis.call('INFO', 'server', 'replication')
  return string.match(info, 'run_id:(%x+)') .. string.match(info, 'master_replid:(%x+)')
end

local function found()
  return redis.call('HMGET', KEYS[1], 'run', 'lineage', 'number', 'mark', 'epoch', 'position',
    'fence', 'tails')
end

local function write(first)
  redis.call('HSET', KEYS[1], 'number', ARGV[first], 'mark', ARGV[first + 1],
    'epoch', ARGV[first + 2], 'position', ARGV[first + 3], 'fence', ARGV[first + 4],
    'tails', ARGV[first + 5])
  for i = first + 6, #ARGV, 3 do
    redis.call('ZADD', KEYS[2], ARGV[i], ARGV[i + 2])
    if ARGV[i + 1] ~= '0' then redis.call('ZADD', KEYS[3], ARGV[i + 1], ARGV[i + 2]) end
  end
end
"""

LOOK: Final = _RUN + "return {run(), found()}"
"""Answers the life of the server, and run, lineage and fields of the tip."""

CLAIM: Final = (
    _RUN
    + """
local now = run()
local claim = redis.call('HGET', KEYS[1], 'claim')
if not claim or string.sub(claim, 1, #now) ~= now then
  claim = now .. ':' .. ARGV[1]
  redis.call('HSET', KEYS[1], 'claim', claim)
end
return {now, found(), string.sub(claim, #now + 2)}
"""
)
"""ARGV a lineage. The same, and the lineage that the next log is to have: all get the same one."""

BEGIN: Final = (
    _RUN
    + """
local now = run()
if redis.call('HGET', KEYS[1], 'claim') ~= now .. ':' .. ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'run', now, 'lineage', ARGV[1])
write(2)
return 1
"""
)
"""ARGV lineage, fields of the tip, number, source and text of its entry.

Answers 0 when it is not claimed: somebody began it, or the claim was lost with all else.
"""

APPEND: Final = (
    _RUN
    + """
local tip = found()
for i = 2, 4 do
  if tip[i] ~= ARGV[i - 1] then return 0 end
end
if tip[1] ~= run() then return 0 end
write(4)
return 1
"""
)
"""ARGV lineage, number and mark of the tip that is followed; fields of the new tip; of each
entry number, source and text. Answers 0 when the tip is another, or of another life."""
