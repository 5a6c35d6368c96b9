-- Record and small output values of a job, for the caller who waited for it.
-- ARGV: id
local record = redis.call('HGETALL', job_key(ARGV[1]))
if #record == 0 then return {'gone'} end
return {'ok', record, redis.call('HGETALL', P .. ':o:' .. ARGV[1])}
