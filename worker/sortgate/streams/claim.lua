-- Takes over requests of others whose lease ran out, and tidies what dead workers left behind.
-- Its own it has, or they are on their way to it: a reply comes, or its link is lost and recover.lua finds them.
-- KEYS: requests:high, requests, requests:low, counters, workers
-- ARGV: group, consumer, lease (ms), most texts, age (ms) after which an idle, empty consumer is deleted
-- Returns {{stream number, entry, deliveries, fields}, …}
local group, consumer, lease, room = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local taken, vanished = {}, 0
for number = 1, 3 do
  local stream = KEYS[number]
  local pending = room > 0 and redis.pcall('XPENDING', stream, group, 'IDLE', lease, '-', '+', room) or {}
  if pending.err then pending = {} end
  for _, item in ipairs(pending) do
    local entry, deliveries = item[1], item[4] + 1
    local original = redis.call('XRANGE', stream, entry, entry)[1]
    if not original then
      -- Deleted by hand while pending: nothing is left to answer.
      redis.call('XACK', stream, group, entry)
      vanished = vanished + 1
    elseif item[2] ~= consumer then
      redis.call('XCLAIM', stream, group, consumer, lease, entry, 'RETRYCOUNT', deliveries, 'JUSTID')
      taken[#taken + 1] = {number, entry, deliveries, original[2]}
      room = room - 1
    end
  end
  local consumers = redis.pcall('XINFO', 'CONSUMERS', stream, group)
  if not consumers.err then
    for _, info in ipairs(consumers) do
      local about = {}
      for i = 1, #info, 2 do about[info[i]] = info[i + 1] end
      if about.name ~= consumer and about.pending == 0 and about.idle > tonumber(ARGV[5]) then
        redis.call('XGROUP', 'DELCONSUMER', stream, group, about.name)
        redis.call('HDEL', KEYS[5], about.name)
      end
    end
  end
end
if #taken > 0 then redis.call('HINCRBY', KEYS[4], 'reclaimed', #taken) end
if vanished > 0 then redis.call('HINCRBY', KEYS[4], 'vanished', vanished) end
return taken
