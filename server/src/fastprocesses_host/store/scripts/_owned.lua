-- Whether a claim still owns its running job: 'ok', or why not; whether anybody can watch it, and it has a subscriber.
local function owned(id, claim)
  local job = job_of(id)
  if not job then return 'gone' end
  if job.claim ~= claim then return 'superseded' end
  return job.status == 'running' and 'ok' or 'final', job.listed or job.shared_as, job.calls
end
