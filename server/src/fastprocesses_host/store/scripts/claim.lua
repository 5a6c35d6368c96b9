-- Acknowledges the message; accepted becomes running under this claim. From here the lease alone owns the job.
-- ARGV: id, worker, claim, lease
local id, worker, claim = ARGV[1], ARGV[2], ARGV[3]
allow_oom()
local found = read(id, 's', 'c', 'dl', 'li', 'tt', 'q')
local queues = found[6] and {found[6]} or redis.call('SMEMBERS', P .. ':queues')
for _, queue in ipairs(queues) do
  redis.call('SREM', acks_key(worker, queue), id)
  redis.call('HDEL', queue_key(queue) .. '.msgs', id)
end

local status, listed = found[1], found[4]
if not status then return {'gone'} end
local is_mine = status == 'running' and found[2] == claim
if not is_mine then
  if status ~= 'accepted' then
    return {status == 'running' and 'superseded' or 'final'}
  end
  if found[3] and NOW > tonumber(found[3]) then
    finalise(id, listed, 'accepted', 'dismissed', found[5], {'rc', 'deadline'})
    return {'final'}
  end
  redis.call('HSET', job_key(id), 's', 'running', 'c', claim, 'w', worker, 'up', NOW, 'st', NOW)
  redis.call('HINCRBY', job_key(id), 'at', 1)
  redis.call('ZREM', P .. ':accepted', id)
  move(id, listed, 'accepted', 'running')
  tell(id, 'running')
end
redis.call('ZADD', P .. ':lease', NOW + tonumber(ARGV[4]), id)
return {'ok', redis.call('HGETALL', job_key(id)), redis.call('HGETALL', P .. ':i:' .. id)}
