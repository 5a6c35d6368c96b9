-- Progress, message and log lines of a running job into its record.
-- ARGV: id, claim, progress ('' for none), message ('' for none), most log lines, lines…
local id, claim = ARGV[1], ARGV[2]
allow_oom()
local found = read(id, 's', 'c')
if not found[1] then return {'gone'} end
if found[2] ~= claim then return {'superseded'} end
if found[1] ~= 'running' then return {'final'} end
if ARGV[3] ~= '' then redis.call('HSET', job_key(id), 'pr', ARGV[3], 'up', NOW) end
if ARGV[4] ~= '' then redis.call('HSET', job_key(id), 'm', ARGV[4], 'up', NOW) end
for i = 6, #ARGV do redis.call('RPUSH', P .. ':log:' .. id, ARGV[i]) end
if #ARGV > 5 then redis.call('LTRIM', P .. ':log:' .. id, -tonumber(ARGV[5]), -1) end
return {'ok'}
