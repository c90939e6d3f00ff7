-- Renews the leases of the requests in hand; those that another worker took over meanwhile are left to it.
-- KEYS: requests:high, requests, requests:low, workers
-- ARGV: group, consumer, entries in hand (msgpack list of three lists), heartbeat (JSON)
-- Returns the number renewed.
local group, consumer = ARGV[1], ARGV[2]
local in_hand = cmsgpack.unpack(ARGV[3])
local renewed = 0
for number = 1, 3 do
  for _, entry in ipairs(in_hand[number]) do
    local item = redis.pcall('XPENDING', KEYS[number], group, entry, entry, 1)
    if not item.err and item[1] and item[1][2] == consumer then
      -- JUSTID sets the idle time to 0 and leaves the delivery counter alone.
      redis.call('XCLAIM', KEYS[number], group, consumer, 0, entry, 'JUSTID')
      renewed = renewed + 1
    end
  end
end
redis.pcall('HSET', KEYS[4], consumer, ARGV[4])
return renewed
