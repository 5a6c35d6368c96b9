-- Record and small output values of a job, for the caller who waited for it.
-- ARGV: id
local record = redis.call('HGETALL', job_key(ARGV[1]))
if #record == 0 then return {'gone'} end
local run = redis.call('HGET', job_key(ARGV[1]), 'fr')
return {'ok', record, redis.call('HGETALL', P .. ':o:' .. (run or ARGV[1]))}
