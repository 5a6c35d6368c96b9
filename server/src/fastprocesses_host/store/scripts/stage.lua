-- An output value too large to travel with the end of its run: under the claim, with a short life, until then.
-- ARGV: id, claim, seconds, output, value
local id, claim = ARGV[1], ARGV[2]
allow_oom()
local state = owned(id, claim)
if state ~= 'ok' then return {state} end
local staged = P .. ':o:' .. id .. ':' .. claim
redis.call('HSET', staged, ARGV[4], ARGV[5])
redis.call('EXPIRE', staged, ARGV[3])
return {'ok'}
