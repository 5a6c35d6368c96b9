-- A sign of life: renews the leases of the jobs that the worker is inside, says which of them have to stop, and
-- whether jobs of others may be recovered now.
-- ARGV: worker ('' for none), host ('' for none), lease, offer, jobs and claims…
local worker, host, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])
allow_oom()

-- After a gap in all ticks (the store was away, the machine slept) living workers renew first.
local last = tonumber(redis.call('HGET', P .. ':ticks', 'last') or NOW)
local hold = tonumber(redis.call('HGET', P .. ':ticks', 'hold') or 0)
if NOW - last > lease / 2 then hold = NOW + lease + 2000 end
redis.call('HSET', P .. ':ticks', 'last', NOW, 'hold', hold)

if worker ~= '' then redis.call('ZADD', P .. ':workers', NOW, worker) end
if host ~= '' then redis.call('ZADD', P .. ':hosts', NOW, host) end
local is_known = 1 -- whether the store has what the worker offers; one that lost its data has not
if ARGV[4] ~= '' then
  is_known = redis.call('EXPIRE', P .. ':offer:' .. ARGV[4], 86400)
  if is_known == 1 then redis.call('ZADD', P .. ':offers', NOW, ARGV[4]) end
end

-- A synchronous job is of no use when the host that waits for it is gone. One that never ticked is of a version
-- before this one.
local function is_abandoned(job)
  if not job.is_sync or not job.waiting_host or NOW < hold then return false end
  local seen = redis.call('ZSCORE', P .. ':hosts', job.waiting_host)
  return seen and NOW - tonumber(seen) > lease
end

local verdicts = {}
for i = 5, #ARGV, 2 do
  local id, claim = ARGV[i], ARGV[i + 1]
  local job, verdict = job_of(id), 'ok'
  if not job then
    verdict = 'gone'
  elseif job.claim ~= claim then
    verdict = 'superseded'
  elseif job.status ~= 'running' then
    verdict = 'final'
  elseif job.longest_run > 0 and NOW - tonumber(redis.call('HGET', job_key(id), 'st') or NOW) > job.longest_run then
    verdict = 'overtime'
  elseif is_abandoned(job) then
    finalise(job, 'dismissed', {'rc', 'abandoned', 'stp', '1'})
    verdict = 'final'
  end
  if verdict == 'ok' or verdict == 'overtime' or (verdict == 'final' and redis.call('ZSCORE', P .. ':lease', id)) then
    redis.call('ZADD', P .. ':lease', NOW + lease, id)
  end
  if verdict ~= 'ok' then
    verdicts[#verdicts + 1] = id
    verdicts[#verdicts + 1] = verdict
  end
end
return {NOW, NOW >= hold and 1 or 0, verdicts, is_known}
