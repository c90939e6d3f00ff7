-- Answers a batch: for every entry that is still ours to answer, exactly one visible result.
-- KEYS: requests:high, requests, requests:low, results, dead, seen, counters
-- ARGV: group, de-duplication window (ms), most ids remembered, bound and expiry (ms) of a reply stream,
--       bound and age (ms) of the dead letters, msgpack [[stream number, entry, id, reply, status, fields], …]
-- Returns {answered, suppressed, duplicates, undelivered, length of the result stream,
--          answered ok, error, dead, rejected, expired}
local group, window, remembered = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local reply_bound, reply_ttl = tonumber(ARGV[4]), ARGV[5]
local dead_bound, dead_age = ARGV[6], tonumber(ARGV[7])
local results, dead, seen, counters = KEYS[4], KEYS[5], KEYS[6], KEYS[7]

-- Checked before anything is acknowledged: Lua does not roll back.
for number = 1, 4 do
  local kind = redis.call('TYPE', KEYS[number]).ok
  if kind ~= 'none' and kind ~= 'stream' then
    return redis.error_reply('WRONGTYPE ' .. KEYS[number] .. ' is a ' .. kind)
  end
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local counts, renewed = {}, {}
local answered, suppressed, duplicates, undelivered = 0, 0, 0, 0

local function count(name) counts[name] = (counts[name] or 0) + 1 end

local function deliver(reply, fields)
  if reply ~= '' then
    local length = redis.pcall('XLEN', reply)
    if type(length) == 'number' and length < reply_bound then
      local added = redis.pcall('XADD', reply, 'NOMKSTREAM', '*', unpack(fields))
      if type(added) == 'string' then
        if not renewed[reply] then
          renewed[reply] = true
          redis.call('PEXPIRE', reply, reply_ttl)
        end
        return
      end
    end
    fields[#fields + 1] = 'undelivered_to'
    fields[#fields + 1] = reply
    undelivered = undelivered + 1
    count('undelivered')
  end
  local added = redis.pcall('XADD', results, '*', unpack(fields))
  if type(added) ~= 'string' then
    -- The entry is acknowledged already: its answer must end somewhere that an operator looks.
    fields[#fields + 1] = 'undelivered_to'
    fields[#fields + 1] = results
    if type(redis.pcall('XADD', dead, '*', unpack(fields))) ~= 'string' then count('lost') end
  end
end

local function bury(stream, entry, fields)
  local original = redis.call('XRANGE', stream, entry, entry)[1]
  local copy = {}
  if original then
    for i = 1, math.min(#original[2], 64) do copy[i] = original[2][i] end
  end
  copy[#copy + 1], copy[#copy + 2] = 'dead_entry', entry
  copy[#copy + 1], copy[#copy + 2] = 'dead_stream', stream
  for i = 1, #fields, 2 do
    if fields[i] == 'status' or fields[i] == 'code' or fields[i] == 'message' or fields[i] == 'model' then
      copy[#copy + 1], copy[#copy + 2] = 'dead_' .. fields[i], fields[i + 1]
    end
  end
  redis.pcall('XADD', dead, 'MAXLEN', '~', dead_bound, '*', unpack(copy))
  redis.pcall('XTRIM', dead, 'MINID', '~', string.format('%.0f', now - dead_age))
end

-- By stream number; deleted together at the end, which costs half of one call each.
local answered_here = {{}, {}, {}}

for _, item in ipairs(cmsgpack.unpack(ARGV[8])) do
  local stream, entry, id, reply, status, fields = KEYS[item[1]], item[2], item[3], item[4], item[5], item[6]
  -- XACK comes first: it says whether this answer is the first, and once a script has written,
  -- Redis lets the rest of it through even when memory is full.
  if redis.call('XACK', stream, group, entry) == 0 then
    suppressed = suppressed + 1
  else
    local first = true
    if window > 0 and id ~= '' then
      if answered + duplicates == 0 then
        redis.pcall('ZREMRANGEBYSCORE', seen, '-inf', string.format('(%.0f', now - window))
      end
      first = redis.pcall('ZADD', seen, 'NX', string.format('%.0f', now), id) ~= 0
    end
    if first then
      if status == 'error' or status == 'dead' then bury(stream, entry, fields) end
      deliver(reply, fields)
      count(status)
      answered = answered + 1
    else
      duplicates = duplicates + 1
    end
    local done = answered_here[item[1]]
    done[#done + 1] = entry
  end
end

for number, done in ipairs(answered_here) do
  for first = 1, #done, 1000 do redis.call('XDEL', KEYS[number], unpack(done, first, math.min(first + 999, #done))) end
end

if window > 0 then
  -- Bookkeeping never fails a batch that has been answered.
  local size = redis.pcall('ZCARD', seen)
  if type(size) == 'number' and size > remembered then redis.pcall('ZREMRANGEBYRANK', seen, 0, size - remembered - 1) end
  redis.pcall('PEXPIRE', seen, window)
end
counts.suppressed = suppressed > 0 and suppressed or nil
counts.duplicates = duplicates > 0 and duplicates or nil
for name, n in pairs(counts) do redis.pcall('HINCRBY', counters, name, n) end
return {
  answered, suppressed, duplicates, undelivered, redis.call('XLEN', results),
  counts.ok or 0, counts.error or 0, counts.dead or 0, counts.rejected or 0, counts.expired or 0,
}
