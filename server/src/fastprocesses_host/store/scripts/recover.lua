-- Jobs whose worker went silent end or run again; jobs that waited too long end; messages of dead workers go back.
-- ARGV: lease, most jobs a call, problem of a lost worker, problem of a job without a worker
local lease, most = tonumber(ARGV[1]), tonumber(ARGV[2])
allow_oom()
local recovered = 0

for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. ':lease', '-inf', NOW, 'LIMIT', 0, most)) do
  local found = read(id, 's', 'li', 'tt', 'rt', 'at', 'ma', 'q')
  recovered = recovered + 1
  redis.call('ZREM', P .. ':lease', id)
  if found[1] == 'running' then
    if found[4] == '1' and tonumber(found[5]) < tonumber(found[6] or 1) then
      queue_again(id, found[2], found[7], false)
    else
      finalise(id, found[2], 'running', 'failed', found[3], {'rc', 'worker-lost', 'pb', ARGV[3]})
    end
  elseif found[1] then
    redis.call('HDEL', job_key(id), 'stp')
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. ':accepted', '-inf', NOW, 'LIMIT', 0, most)) do
  local found = read(id, 's', 'li', 'tt')
  recovered = recovered + 1
  redis.call('ZREM', P .. ':accepted', id)
  if found[1] == 'accepted' then
    finalise(id, found[2], 'accepted', 'failed', found[3], {'rc', 'no-worker', 'pb', ARGV[4]})
  end
end

for _, worker in ipairs(redis.call('ZRANGEBYSCORE', P .. ':workers', '-inf', NOW - lease, 'LIMIT', 0, most)) do
  for _, queue in ipairs(redis.call('SMEMBERS', P .. ':queues')) do
    for _, id in ipairs(redis.call('SMEMBERS', acks_key(worker, queue))) do
      recovered = recovered + give_back(worker, queue, id)
    end
  end
  redis.call('ZREM', P .. ':workers', worker)
end
redis.call('ZREMRANGEBYSCORE', P .. ':offers', '-inf', NOW - 86400000)
return recovered
