-- Adds a chunk of requests to a request stream, or nothing of it when a stream would grow over its bound.
-- A producer may have slots in the stream; what it has beyond goes to the low one, so that its flood delays the texts of
-- others by no more than its slots. They are counted in windows: the first text of a window is noted, and when it has
-- been answered, a new window begins. Nothing has to be counted back, so nothing can drift.
-- KEYS: request stream; with slots, the stream of low priority, and the producer's window;
--       and the reply stream that the requests name, if any: it is created, or kept for another hour
-- ARGV: bound, deadline in milliseconds from now ('' for none), msgpack of the flat fields common to all requests,
--       msgpack [[id, text] or [id, text, meta], …], slots (0: as many as there are texts)
-- Returns {number added, length of the stream, or of the one that is full}
-- Over maxmemory the first write fails, and with it the script: Redis lets a script that has written go on.
local bound, items, slots = tonumber(ARGV[1]), cmsgpack.unpack(ARGV[4]), tonumber(ARGV[5])
local low, window, reply = KEYS[2], KEYS[3], KEYS[4]
if slots == 0 then low, window, reply = nil, nil, KEYS[2] end

local function waits(entry)
  local ms, number = string.match(entry, '^(%d+)-(%d+)$')
  -- XREAD, since it is a right that producers have anyway, gives what comes after the entry before
  local before = number == '0' and string.format('%.0f-18446744073709551615', ms - 1) or
    string.format('%s-%.0f', ms, number - 1)
  local found = redis.call('XREAD', 'COUNT', 1, 'STREAMS', KEYS[1], before)
  return found and found[1][2][1][1] == entry
end

-- How many of the items go to KEYS[1]; the first text of the window and how many it has.
local here, first, used = #items, '', 0
if window then
  local noted = redis.call('GET', window)
  if noted then
    local entry, count = string.match(noted, '^(%S+) (%d+)$')
    if waits(entry) then first, used = entry, tonumber(count) end
  end
  here = math.max(0, math.min(#items, slots - used))
end

local length = redis.call('XLEN', KEYS[1])
if here > 0 and length + here > bound then return {0, length} end
if here < #items then
  local beyond = redis.call('XLEN', low)
  if beyond + #items - here > bound then return {0, beyond} end
end
if reply then
  -- The only command that makes an empty stream. That it exists already is no error here; that memory is full is
  -- one, and must end the script now: past a first write, Redis would let it add the requests all the same.
  local made = redis.pcall('XGROUP', 'CREATE', reply, 'client', '0', 'MKSTREAM')
  if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
  redis.call('PEXPIRE', reply, 3600000)
end
local fields = cmsgpack.unpack(ARGV[3])
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
  local stream = number <= here and KEYS[1] or low
  local entry = redis.call('XADD', stream, '*', unpack(fields, 1, common + (item[3] and 6 or 4)))
  if first == '' then first = entry end
end
-- A day: a window whose texts wait for longer is forgotten, and the producer has its slots once more.
if window and here > 0 then redis.call('SET', window, string.format('%s %d', first, used + here), 'PX', 86400000) end
return {#items, length + here}
