-- A run failed in a way that another one may not: the job waits for it, if it has attempts left.
-- ARGV: id, claim, wait before a second attempt, reason
local id, claim = ARGV[1], ARGV[2]
allow_oom()
local job = job_of(id)
if not job then
  end_lease_of_removed(id)
  return {'gone'}
end
if job.claim ~= claim then return {'superseded'} end
if job.status ~= 'running' then
  end_lease(job)
  redis.call('HDEL', job_key(id), 'stp')
  return {'final'}
end
if not job.retryable or job.attempt >= job.most_attempts then return {'spent'} end
redis.call('HSET', job_key(id), 'rc', ARGV[4])
queue_again(job, false, pause(job, tonumber(ARGV[3])))
return {'ok'}
