-- Reads new requests of one queue without blocking, urgent ones first.
-- Weighted 8 : 3 : 1 between priorities; what one stream leaves unused goes to the others.
-- KEYS: requests:high, requests, requests:low, results
-- ARGV: group, consumer, most texts, bound of the result stream
-- Returns {milliseconds of Redis's clock, result stream full (0/1), {{stream number, entries}, …}}
local group, consumer, room, bound = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if redis.call('XLEN', KEYS[4]) >= bound then return {now, 1, {}} end

local function read(number, count)
  local reply = redis.pcall('XREADGROUP', 'GROUP', group, consumer, 'COUNT', count, 'STREAMS', KEYS[number], '>')
  if reply and reply.err then
    if not string.find(reply.err, 'NOGROUP', 1, true) then return reply end
    -- From 0, never '$': whatever survived in the stream is still to be answered.
    redis.call('XGROUP', 'CREATE', KEYS[number], group, '0', 'MKSTREAM')
    reply = redis.call('XREADGROUP', 'GROUP', group, consumer, 'COUNT', count, 'STREAMS', KEYS[number], '>')
  end
  return reply and reply[1] and reply[1][2] or {}
end

local weights = {8, 3, 1}
local found, left, unused = {}, room, {}
for number = 1, 3 do
  local count = math.min(left, math.max(1, math.ceil(room * weights[number] / 12)))
  if count > 0 then
    local entries = read(number, count)
    if entries.err then return entries end
    if #entries > 0 then
      found[#found + 1] = {number, entries}
      left = left - #entries
    end
    unused[number] = #entries < count
  end
end
for number = 1, 3 do
  if left > 0 and not unused[number] then
    local entries = read(number, left)
    if entries.err then return entries end
    if #entries > 0 then
      found[#found + 1] = {number, entries}
      left = left - #entries
    end
  end
end
return {now, 0, found}
