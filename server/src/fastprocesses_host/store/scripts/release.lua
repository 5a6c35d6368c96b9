-- A worker that stops gives up a job: back into the queue where that does no harm, else failed.
-- ARGV: id, claim, untouched (1: its code never ran), reason, problem
local id, claim = ARGV[1], ARGV[2]
allow_oom()
local job, why = running_of(id, claim)
if not job then return {why} end
if ARGV[3] == '1' or job.retryable then
  queue_again(job, true, 0)
  return {'ok', 'accepted'}
end
end_lease(job)
finalise(job, 'failed', {'rc', ARGV[4], 'pb', ARGV[5]})
return {'ok', 'failed'}
