-- Reads a queue's state for its workers' metrics; changes nothing, and fails on nothing that only one key has wrong.
-- KEYS: requests:high, requests, requests:low, results, dead, counters
-- ARGV: group
-- Returns {seconds, microseconds, {{unread, pending, oldest pending, oldest unread} for each stream}, results,
--          dead letters, {counter, value, …}}; ids are '' where there is none
local function number(reply) return type(reply) == 'number' and reply or 0 end
local function list(reply) return type(reply) == 'table' and not reply.err and reply or {} end

local time = redis.call('TIME')
local streams = {}
for i = 1, 3 do
  local last = '0-0'
  for _, group in ipairs(list(redis.pcall('XINFO', 'GROUPS', KEYS[i]))) do
    local about = {}
    for j = 1, #group, 2 do about[group[j]] = group[j + 1] end
    if about.name == ARGV[1] then last = about['last-delivered-id'] end
  end
  local pending = list(redis.pcall('XPENDING', KEYS[i], ARGV[1]))
  local unread = list(redis.pcall('XRANGE', KEYS[i], '(' .. last, '+', 'COUNT', 1))[1]
  local held = pending[1] or 0
  -- XINFO's own lag is absent on 6.2 and null on 7 once entries were deleted out of order
  streams[i] = {
    math.max(0, number(redis.pcall('XLEN', KEYS[i])) - held), held, pending[2] or '', unread and unread[1] or '',
  }
end
return {
  time[1], time[2], streams, number(redis.pcall('XLEN', KEYS[4])), number(redis.pcall('XLEN', KEYS[5])),
  list(redis.pcall('HGETALL', KEYS[6])),
}
