-- Creates the consumer group of a stream, and the stream; that another worker or collector was first is no error.
-- KEYS: a request stream, or the result stream
-- ARGV: group
-- Returns 1.
-- XACK changes nothing here, but as a write that needs no memory it comes before one that does: from then on Redis lets
-- the script go on although memory is full, and what filled it up before its first reader came can be drained.
redis.call('XACK', KEYS[1], ARGV[1], '0-0')
-- From 0, never '$': whatever is in the stream is still to be answered.
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
return 1
