-- Accepted or running becomes dismissed; what was final before is removed, with a tombstone.
-- A retry with the same token gets the same answer.
-- ARGV: id, token, tombstone seconds
local id, token = ARGV[1], ARGV[2]
allow_oom()
local found = read(id, 's', 'li', 'tt', 'dt')
local status, listed = found[1], found[2]
if not status then
  local tombstone = redis.call('GET', P .. ':t:' .. id)
  if not tombstone then return {'gone'} end
  return {tombstone == token and 'removed' or 'tombstone'}
end
if found[4] == token then return {'ok', redis.call('HGETALL', job_key(id))} end
if status == 'accepted' then
  finalise(id, listed, 'accepted', 'dismissed', found[3], {'dt', token})
  return {'ok', redis.call('HGETALL', job_key(id))}
end
if status == 'running' then
  -- The lease stays until the worker reports: it is still busy with it.
  finalise(id, listed, 'running', 'dismissed', found[3], {'dt', token, 'stp', '1'})
  redis.call('PUBLISH', P .. ':stop', id)
  return {'ok', redis.call('HGETALL', job_key(id))}
end
local record = redis.call('HGETALL', job_key(id))
remove(id)
redis.call('SET', P .. ':t:' .. id, token, 'EX', ARGV[3])
return {'removed', record}
