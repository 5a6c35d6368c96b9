-- Accepted or running becomes dismissed; what was final before is removed, with a tombstone.
-- A retry with the same token gets the same answer.
-- ARGV: id, token, tombstone seconds
local id, token = ARGV[1], ARGV[2]
allow_oom()
local job = job_of(id)
if not job then
  local tombstone = redis.call('GET', P .. ':t:' .. id)
  if not tombstone then return {'gone'} end
  return {tombstone == token and 'removed' or 'tombstone'}
end
if redis.call('HGET', job_key(id), 'dt') == token then return {'ok', redis.call('HGETALL', job_key(id))} end
if job.status == 'accepted' or (job.status == 'running' and job.run) then -- no worker is inside it
  finalise(job, 'dismissed', {'dt', token})
  return {'ok', redis.call('HGETALL', job_key(id))}
end
if job.status == 'running' then
  -- The lease stays until the worker reports: it is still busy with it.
  finalise(job, 'dismissed', {'dt', token, 'stp', '1'})
  redis.call('PUBLISH', P .. ':stop', id)
  return {'ok', redis.call('HGETALL', job_key(id))}
end
local record = redis.call('HGETALL', job_key(id))
remove(id)
redis.call('SET', P .. ':t:' .. id, token, 'EX', ARGV[3])
return {'removed', record}
