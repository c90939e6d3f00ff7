-- Moves one dead letter back to a request stream as a new request, in one step.
-- KEYS: dead, requests:high, requests, requests:low
-- ARGV: dead letter's entry id, bound of a request stream
-- Returns {'ok', id of the new entry}, {'gone'}, {'no_text'} or {'full'}
local found = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])[1]
if not found then return {'gone'} end
-- Nobody waits on the old reply stream any more and the old deadline has passed: the answer goes to the results.
local dropped = {reply = true, deadline = true, requeue_of = true}
local fields, target, has_text = {}, KEYS[3], false
for i = 1, #found[2], 2 do
  local name, value = found[2][i], found[2][i + 1]
  if name == 'dead_stream' then
    for number = 2, 4 do
      if KEYS[number] == value then target = value end
    end
  end
  if string.sub(name, 1, 5) ~= 'dead_' and not dropped[name] then
    fields[#fields + 1], fields[#fields + 2] = name, value
    has_text = has_text or name == 'text'
  end
end
if not has_text then return {'no_text'} end
if redis.call('XLEN', target) >= tonumber(ARGV[2]) then return {'full'} end
fields[#fields + 1], fields[#fields + 2] = 'requeue_of', ARGV[1]
local entry = redis.call('XADD', target, '*', unpack(fields))
redis.call('XDEL', KEYS[1], ARGV[1])
return {'ok', entry}
