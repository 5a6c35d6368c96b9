-- A worker that stops gives up a job: back into the queue where that does no harm, else failed.
-- ARGV: id, claim, untouched (1: its code never ran), reason, problem
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
if ARGV[3] == '1' or job.retryable then
  queue_again(job, true, 0)
  return {'ok', 'accepted'}
end
end_lease(job)
finalise(job, 'failed', {'rc', ARGV[4], 'pb', ARGV[5]})
return {'ok', 'failed'}
