-- Grants texts of a queue's rate limit to the worker that asks: a token bucket, which holds a second's worth or one text.
-- KEYS: rate
-- ARGV: texts a second, texts wanted, texts granted earlier and not read (negative: read beyond what was granted)
-- Returns {texts granted, milliseconds until there are some when none were}
local rate, wanted, unread = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now, full = time[1] * 1000 + time[2] / 1000, math.max(1, rate)
local texts = tonumber(redis.call('HGET', KEYS[1], 'texts') or full)
local at = tonumber(redis.call('HGET', KEYS[1], 'at_ms') or now)
texts = math.min(full, texts + unread + math.max(0, now - at) * rate / 1000)
-- few at a time would make small batches of a long queue: a twentieth of a second's worth is waited for
local least = math.min(wanted, math.max(1, rate / 20))
local granted = texts < least and 0 or math.min(wanted, math.floor(texts))
texts = texts - granted
-- A write that needs no memory comes first: from then on Redis lets the script go on although memory is full, and what
-- fills it up can be read.
redis.call('PEXPIRE', KEYS[1], 1000)
redis.call('HSET', KEYS[1], 'texts', string.format('%.6f', texts), 'at_ms', string.format('%.3f', now))
-- by then it is full, as one that is not there
redis.call('PEXPIRE', KEYS[1], math.ceil((full - texts) * 1000 / rate) + 1000)
return {granted, granted > 0 and 0 or math.ceil((least - texts) * 1000 / rate)}
