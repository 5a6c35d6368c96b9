-- Progress, message and log lines of a running job into its record.
-- ARGV: id, claim, progress ('' for none), message ('' for none), most log lines, lines…
local id, claim = ARGV[1], ARGV[2]
allow_oom()
local state = owned(id, claim)
if state ~= 'ok' then return {state} end
if ARGV[3] ~= '' then redis.call('HSET', job_key(id), 'pr', ARGV[3], 'up', NOW) end
if ARGV[4] ~= '' then redis.call('HSET', job_key(id), 'm', ARGV[4], 'up', NOW) end
for i = 6, #ARGV do redis.call('RPUSH', P .. ':log:' .. id, ARGV[i]) end
if #ARGV > 5 then
  redis.call('LTRIM', P .. ':log:' .. id, -tonumber(ARGV[5]), -1)
  redis.call('HSET', job_key(id), 'lg', 1)
end
return {'ok'}
