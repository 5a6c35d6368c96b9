-- A run failed in a way that another one may not: the job waits for it, if it has attempts left.
-- ARGV: id, claim, wait before a second attempt, reason
local id, claim = ARGV[1], ARGV[2]
allow_oom()
local job, why = running_of(id, claim)
if not job then return {why} end
if not job.retryable or job.attempt >= job.most_attempts then return {'spent'} end
redis.call('HSET', job_key(id), 'rc', ARGV[4])
queue_again(job, false, pause(job, tonumber(ARGV[3])))
return {'ok'}
