-- Fetches again what this consumer was given on a link that then broke; the delivery is not counted twice.
-- KEYS: requests:high, requests, requests:low
-- ARGV: group, consumer, entries in hand (msgpack list of three lists), most texts
-- Returns {{stream number, entry, deliveries, fields}, …}
local group, consumer = ARGV[1], ARGV[2]
local in_hand = cmsgpack.unpack(ARGV[3])
local found = {}
for number = 1, 3 do
  local stream, known = KEYS[number], {}
  for _, entry in ipairs(in_hand[number]) do known[entry] = true end
  local pending = redis.pcall('XPENDING', stream, group, '-', '+', ARGV[4], consumer)
  if not pending.err then
    for _, item in ipairs(pending) do
      if not known[item[1]] then
        local original = redis.call('XRANGE', stream, item[1], item[1])[1]
        if original then
          found[#found + 1] = {number, item[1], item[4], original[2]}
        else
          redis.call('XACK', stream, group, item[1])
        end
      end
    end
  end
end
return found
