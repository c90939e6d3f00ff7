-- Hands requests back at shutdown so that another worker takes them at its next sweep, and leaves the group.
-- KEYS: requests:high, requests, requests:low, workers
-- ARGV: group, consumer, name of the consumer that holds released requests, leave the group (0/1),
--       msgpack [[stream number, entry, deliveries that count], …]
-- Returns the number handed back.
local group, consumer, released = ARGV[1], ARGV[2], ARGV[3]
local handed = 0
for _, item in ipairs(cmsgpack.unpack(ARGV[5])) do
  local stream, entry = KEYS[item[1]], item[2]
  local owner = redis.pcall('XPENDING', stream, group, entry, entry, 1)
  if not owner.err and owner[1] and owner[1][2] == consumer then
    redis.call('XCLAIM', stream, group, released, 0, entry, 'IDLE', '1000000000', 'RETRYCOUNT', item[3], 'JUSTID')
    handed = handed + 1
  end
end
if ARGV[4] == '1' then
  for number = 1, 3 do
    -- A consumer's pending requests would be lost with it: only an empty one goes.
    local mine = redis.pcall('XPENDING', KEYS[number], group, '-', '+', 1, consumer)
    if not mine.err and #mine == 0 then redis.pcall('XGROUP', 'DELCONSUMER', KEYS[number], group, consumer) end
  end
  redis.call('HDEL', KEYS[4], consumer)
end
return handed
