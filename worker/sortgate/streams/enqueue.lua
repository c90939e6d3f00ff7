-- Adds a chunk of requests to a request stream, or nothing of it when a stream would grow over its bound.
-- A producer that names itself has so many slots in the stream; what it has beyond goes to the low one, so that its
-- flood delays the texts of others by no more than its slots. They are counted in windows: the first text of a window is
-- noted, and when it has been answered, a new window begins. Nothing has to be counted back, so nothing can drift.
-- While a text of its own waits in the low stream, so do those after it: none overtakes an older one of its producer.
-- KEYS: request stream, stream of low priority, producers,
--       and the reply stream that the requests name, if any: it is created, or kept for another hour
-- ARGV: bound, deadline in milliseconds from now ('' for none), msgpack of the flat fields common to all requests,
--       msgpack [[id, text] or [id, text, meta], …], slots (0: as many as there are texts)
-- Returns {number added, length of the stream, or of the one that is full}
-- Over maxmemory the first write fails, and with it the script: Redis lets a script that has written go on.
local bound, items, slots = tonumber(ARGV[1]), cmsgpack.unpack(ARGV[4]), tonumber(ARGV[5])
local fields = cmsgpack.unpack(ARGV[3])

local producer
for i = 1, slots > 0 and #fields or 0, 2 do
  if fields[i] == 'producer' then producer = fields[i + 1] end
end

local function waits(stream, entry)
  local ms, number = string.match(entry, '^(%d+)-(%d+)$')
  -- XREAD, since it is a right that producers have anyway, gives what comes after the entry before
  local before = number == '0' and string.format('%.0f-18446744073709551615', ms - 1) or
    string.format('%s-%.0f', ms, number - 1)
  local found = redis.call('XREAD', 'COUNT', 1, 'STREAMS', stream, before)
  return found and found[1][2][1][1] == entry
end

-- How many of the items go to KEYS[1]; the first text of the window and how many it has, the last text beyond it.
local here, first, used, beyond = #items, '', 0, ''
if producer then
  local noted = redis.call('HGET', KEYS[3], producer)
  if noted then
    first, used, beyond = string.match(noted, '^(%S*) (%d+) (%S*)$')
    used = tonumber(used)
    if first ~= '' and not waits(KEYS[1], first) then first, used = '', 0 end
    if beyond ~= '' and not waits(KEYS[2], beyond) then beyond = '' end
  end
  here = beyond == '' and math.max(0, math.min(#items, slots - used)) or 0
end

local length = redis.call('XLEN', KEYS[1])
if here > 0 and length + here > bound then return {0, length} end
if here < #items then
  local others = redis.call('XLEN', KEYS[2])
  if others + #items - here > bound then return {0, others} end
end
if KEYS[4] then
  -- The only command that makes an empty stream. That it exists already is no error here; that memory is full is
  -- one, and must end the script now: past a first write, Redis would let it add the requests all the same.
  local made = redis.pcall('XGROUP', 'CREATE', KEYS[4], 'client', '0', 'MKSTREAM')
  if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
  redis.call('PEXPIRE', KEYS[4], 3600000)
end
if ARGV[2] ~= '' then
  local time = redis.call('TIME')
  local deadline = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[2])
  fields[#fields + 1], fields[#fields + 2] = 'deadline', string.format('%.0f', deadline)
end
local common = #fields
for number, item in ipairs(items) do
  fields[common + 1], fields[common + 2] = 'id', item[1]
  fields[common + 3], fields[common + 4] = 'text', item[2]
  fields[common + 5], fields[common + 6] = item[3] and 'meta', item[3]
  local stream = number <= here and KEYS[1] or KEYS[2]
  local entry = redis.call('XADD', stream, '*', unpack(fields, 1, common + (item[3] and 6 or 4)))
  if number > here then beyond = entry elseif first == '' then first = entry end
end
if producer then
  redis.call('HSET', KEYS[3], producer, string.format('%s %d %s', first, used + here, beyond))
  redis.call('PEXPIRE', KEYS[3], 3600000)
end
return {#items, length + here}
