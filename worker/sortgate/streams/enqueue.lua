-- Adds a chunk of requests to a request stream, or nothing of it when the stream would grow over its bound.
-- KEYS: request stream, and the reply stream that the requests name, if any: it is created, or kept for another hour
-- ARGV: bound, deadline in milliseconds from now ('' for none), msgpack of the flat fields common to all requests,
--       msgpack [[id, text] or [id, text, meta], …]
-- Returns {number added, length of the stream}
-- Over maxmemory the first write fails, and with it the script: Redis lets a script that has written go on.
local length, items = redis.call('XLEN', KEYS[1]), cmsgpack.unpack(ARGV[4])
if length + #items > tonumber(ARGV[1]) then return {0, length} end
if KEYS[2] then
  -- The only command that makes an empty stream. That it exists already is no error here; that memory is full is
  -- one, and must end the script now: past a first write, Redis would let it add the requests all the same.
  local made = redis.pcall('XGROUP', 'CREATE', KEYS[2], 'client', '0', 'MKSTREAM')
  if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
  redis.call('PEXPIRE', KEYS[2], 3600000)
end
local fields = cmsgpack.unpack(ARGV[3])
if ARGV[2] ~= '' then
  local time = redis.call('TIME')
  local deadline = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[2])
  fields[#fields + 1], fields[#fields + 2] = 'deadline', string.format('%.0f', deadline)
end
local common = #fields
for _, item in ipairs(items) do
  fields[common + 1], fields[common + 2] = 'id', item[1]
  fields[common + 3], fields[common + 4] = 'text', item[2]
  fields[common + 5], fields[common + 6] = item[3] and 'meta', item[3]
  redis.call('XADD', KEYS[1], '*', unpack(fields, 1, common + (item[3] and 6 or 4)))
end
return {#items, length + #items}
