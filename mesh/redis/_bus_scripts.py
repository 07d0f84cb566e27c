"""What Redis does for the bus in one step, as Lua.

An entry of a topic's log has the id `POSITION-0` and the fields `e`, the event,
and `us`, when it was appended: microseconds since 1970 by Redis's clock, rising
within the topic. Positions have no gaps but those of trimming.

Those that give room, or that consume, run also when Redis is full: else nobody
could make it less full.
"""

from __future__ import annotations

from typing import Final

CHUNK: Final = 64
"""Entries that are read at once: what is read beyond an answer's size stays small."""

_ALWAYS: Final = "#!lua flags=allow-oom\n"
_WITH_ROOM: Final = "#!lua\n"

_PLACES: Final = """
local function place(number) return string.format('%.0f-0', number) end

local function at(id) return tonumber(string.match(id, '^%d+')) end

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- The last position and when it was given; also when only the log itself is left.
local function top(log, head)
  local found = redis.call('HMGET', head, 'position', 'us')
  if found[1] then return tonumber(found[1]), tonumber(found[2]) end
  if redis.call('EXISTS', log) == 0 then return 0, 0 end
  local info = redis.call('XINFO', 'STREAM', log)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then return at(info[i + 1]), 0 end
  end
end

local function first(log)
  local entry = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  return entry and at(entry[1])
end
"""

_SEARCH: Final = """
-- The first position of those from `low` to before `high` that came after a time, or `high`.
local function behind(log, us, low, high)
  while low < high do
    local middle = math.floor((low + high) / 2)
    local entry = redis.call('XRANGE', log, place(middle), '+', 'COUNT', 1)[1]
    if entry and tonumber(entry[2][4]) <= us then low = middle + 1 else high = middle end
  end
  return low
end
"""

APPEND: Final = (
    _WITH_ROOM
    + _PLACES
    + """
local log, head = KEYS[1], KEYS[2]
local last, us = top(log, head)
local time = now()
for i = 1, #ARGV do
  last, us = last + 1, math.max(us + 1, time)
  redis.call('XADD', log, place(last), 'e', ARGV[i], 'us', string.format('%.0f', us))
end
redis.call('HSET', head, 'position', string.format('%.0f', last), 'us', string.format('%.0f', us))
return last
"""
)
"""KEYS log, head. ARGV the events. Answers the last position. All or none."""

RENEW: Final = (
    _ALWAYS
    + """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
)
"""KEYS lease. ARGV member, lease in milliseconds. Answers 1, or 0 while another is served."""

_OPEN: Final = """
local log, head, offsets, lease = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local dead, letters, replaying = KEYS[5], KEYS[6], KEYS[7]
local mode, group, member, lease_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local most, max_bytes, reached = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local next_argument = 7
local function argument()
  next_argument = next_argument + 1
  return ARGV[next_argument]
end

local owner = redis.call('GET', lease)
if owner and owner ~= member then return {0} end
redis.call('SET', lease, member, 'PX', lease_ms)

local known = redis.call('HMGET', offsets, 'settled:' .. group, 'delivered:' .. group,
  'member:' .. group)
local settled, delivered, holder = tonumber(known[1]), tonumber(known[2]), known[3]
local last = top(log, head)
local lost = 0

local function keep()
  redis.call('HSET', offsets, 'settled:' .. group, string.format('%.0f', settled),
    'delivered:' .. group, string.format('%.0f', delivered))
end

-- A group begins with the oldest event; so does one whose log is not the one that it knew.
local pending = redis.pcall('XPENDING', log, group)
if not settled or delivered > last or pending.err then
  if settled then lost = 1 end
  if pending.err then
    redis.call('XGROUP', 'CREATE', log, group, '0', 'MKSTREAM')
  else
    redis.call('XGROUP', 'SETID', log, group, '0')
  end
  settled = (first(log) or last + 1) - 1
  delivered = settled
  keep()
end

-- The lease says that whoever was served before is gone: what it had is this member's now.
if holder ~= member then
  local cursor = '0-0'
  repeat
    local claimed = redis.call('XAUTOCLAIM', log, group, member, 0, cursor, 'COUNT', 1000, 'JUSTID')
    cursor = claimed[1]
  until cursor == '0-0'
  for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', log, group)) do
    if consumer[2] ~= member then
      redis.call('XGROUP', 'DELCONSUMER', log, group, consumer[2])
    end
  end
  redis.call('HSET', offsets, 'member:' .. group, member)
end
"""

_SETTLE: Final = """
-- A member may know of events that this log, an older copy, has never given out.
if reached > delivered then
  lost, reached = 1, delivered
end
if reached > settled then
  for start = settled + 1, reached, 1000 do
    local ids = {}
    for position = start, math.min(start + 999, reached) do ids[#ids + 1] = place(position) end
    redis.call('XACK', log, group, unpack(ids))
  end
  settled = reached
  keep()
end

for _ = 1, tonumber(argument()) do
  local id = argument()
  redis.call('ZREM', replaying, id)
  redis.call('ZREMRANGEBYSCORE', dead, id, id)
  redis.call('HDEL', letters, id .. ':event', id .. ':position', id .. ':attempts',
    id .. ':error', id .. ':us')
end

for _ = 1, tonumber(argument()) do
  local position, again, fresh, attempts, failure =
    argument(), argument(), argument(), argument(), argument()
  local id = redis.call('ZSCORE', dead, position)
  if id then
    if again ~= '0' then redis.call('HINCRBY', letters, id .. ':attempts', attempts) end
    redis.call('ZREM', replaying, id)
  else
    local entry = redis.call('XRANGE', log, position .. '-0', position .. '-0')[1]
    if entry then
      id = fresh
      redis.call('ZADD', dead, id, position)
      redis.call('HSET', letters, id .. ':event', entry[2][2], id .. ':position', position,
        id .. ':attempts', attempts)
    end
  end
  if id then
    redis.call('HSET', letters, id .. ':error', failure, id .. ':us', string.format('%.0f', now()))
  end
end

if mode == 'leave' then
  redis.call('DEL', lease)
  return {1, lost, delivered, {}, {}}
end
"""

_READ: Final = """
local answer, bytes = {}, 0
local function add(...)
  local given = {...}
  bytes = bytes + #given[#given]
  if #answer > 0 and bytes > max_bytes then return false end
  for i = 1, #given do answer[#answer + 1] = given[i] end
  return true
end

for _, id in ipairs(redis.call('ZRANGE', replaying, 0, most - 1)) do
  local letter = redis.call('HMGET', letters, id .. ':position', id .. ':event')
  if not add(id, letter[1], letter[2]) then break end
end
if #answer > 0 then return {1, lost, delivered, answer, {}} end

-- First what this member has not settled, then what is new.
local from = '0-0'
local function read()
  local count = math.min(CHUNK, most - #answer / 2)
  if count < 1 then return false end
  local reply = redis.call('XREADGROUP', 'GROUP', group, member, 'COUNT', count,
    'STREAMS', log, from)
  local entries = reply and reply[1][2] or {}
  if from == '>' then
    if #entries == 0 then return false end
    delivered = at(entries[#entries][1])
  else
    from = #entries > 0 and entries[#entries][1] or '>'
  end
  for _, entry in ipairs(entries) do
    if entry[2] and not add(entry[1], entry[2][2]) then return false end
  end
  return true
end
local had = delivered
while read() do end
if delivered > had then keep() end
return {1, lost, delivered, {}, answer}
""".replace("CHUNK", str(CHUNK))

POLL: Final = _ALWAYS + _PLACES + _OPEN + _SETTLE + _READ
"""Serve a member of a group: settle, then hand out.

KEYS log, head, offsets, lease, dead, letters, replaying. ARGV mode ('poll' or
'leave'), group, member, lease in milliseconds, most events, most bytes, position
settled; count of replayed letters, their ids; count of buried events and, of each,
position, id of its letter or 0, an unused id, attempts, error.

Answers {0} while another is served. Else {1, lost, delivered, letters, events}:
`lost` is 1 when the log is not the one that the group or member knew; letters are
id, position, event in turn; events are entry id and event in turn.
"""

TRIM: Final = (
    _ALWAYS
    + _PLACES
    + _SEARCH
    + """
local log, head, offsets, guard = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local every_ms, kept_us, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if not redis.call('SET', guard, '1', 'NX', 'PX', every_ms) then return 0 end
local low = first(log)
if not low then return 0 end
local high = top(log, head) + 1
local known = redis.call('HGETALL', offsets)
for i = 1, #known, 2 do
  if string.sub(known[i], 1, 8) == 'settled:' then
    high = math.min(high, tonumber(known[i + 1]) + 1)
  end
end
high = math.min(high, low + most)
local cut = behind(log, now() - kept_us, low, high)
if cut <= low then return 0 end
if cut == low + most then redis.call('DEL', guard) end
return redis.call('XTRIM', log, 'MINID', place(cut))
"""
)
"""Forget the oldest entries that no group waits for, once in a while.

KEYS log, head, offsets, guard. ARGV milliseconds to the next time, microseconds
that entries are kept, most entries to remove at once. Answers how many it removed;
as many as it may: there are more.
"""

LIST: Final = (
    _PLACES
    + _SEARCH
    + """
local log, head = KEYS[1], KEYS[2]
local mode, value = ARGV[1], tonumber(ARGV[2])
local most, max_bytes = tonumber(ARGV[3]), tonumber(ARGV[4])
local command, from, to = 'XRANGE', nil, '+'
if mode == 'newest' then
  command, from, to = 'XREVRANGE', '+', '-'
elseif mode == 'position' then
  from = place(value + 1)
else
  local low = first(log)
  if not low then return {} end
  from = place(behind(log, value, low, top(log, head) + 1))
end
local answer, bytes, count = {}, 0, 0
while count < most do
  local entries = redis.call(command, log, from, to, 'COUNT', math.min(CHUNK, most - count))
  for _, entry in ipairs(entries) do
    bytes = bytes + #entry[2][2]
    if count > 0 and bytes > max_bytes then return answer end
    count = count + 1
    answer[#answer + 1], answer[#answer + 2], answer[#answer + 3] =
      entry[1], entry[2][4], entry[2][2]
  end
  if #entries == 0 then break end
  from = '(' .. entries[#entries][1]
end
return answer
""".replace("CHUNK", str(CHUNK))
)
"""Show a topic's entries, changing nothing.

KEYS log, head. ARGV 'newest', 'position' or 'us', the position or time to begin behind,
most entries, most bytes. Answers entry id, microseconds and event in turn; the newest first
when these are asked for.
"""

LETTERS: Final = """
local dead, letters, replaying = KEYS[1], KEYS[2], KEYS[3]
local answer, bytes = {}, 0
local found = redis.call('ZRANGEBYSCORE', dead, '(' .. ARGV[1], '+inf', 'WITHSCORES',
  'LIMIT', 0, ARGV[2])
for i = 1, #found, 2 do
  local id = found[i + 1]
  local letter = redis.call('HMGET', letters, id .. ':event', id .. ':attempts', id .. ':error',
    id .. ':us')
  answer[#answer + 1] = {id, found[i], redis.call('ZSCORE', replaying, id) and 1 or 0,
    letter[1], letter[2], letter[3], letter[4]}
  bytes = bytes + #letter[1]
  if bytes > tonumber(ARGV[3]) then break end
end
return answer
"""
"""KEYS dead, letters, replaying. ARGV id to begin behind, most letters, bytes
that are enough: the last letter answered goes beyond them.

Answers of each: id, position, whether it waits to be replayed, event, attempts, error,
microseconds.
"""

REPLAY: Final = (
    _ALWAYS
    + """
local dead, replaying = KEYS[1], KEYS[2]
local ids, count = ARGV, 0
if #ids == 0 then
  ids = {}
  local found = redis.call('ZRANGE', dead, 0, -1, 'WITHSCORES')
  for i = 2, #found, 2 do ids[#ids + 1] = found[i] end
end
for _, id in ipairs(ids) do
  if redis.call('ZCOUNT', dead, id, id) > 0 then
    redis.call('ZADD', replaying, id, id)
    count = count + 1
  end
end
return count
"""
)
"""KEYS dead, replaying. ARGV ids; none for all. Answers how many will be handed out once more."""
