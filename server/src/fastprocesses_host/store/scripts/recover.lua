-- Jobs whose worker went silent end or run again; jobs that waited too long end; those whose time has come wait no
-- longer; what silent workers and hosts left behind is removed.
-- ARGV: lease, most jobs a call, wait before a second attempt, problem of a lost worker, problem of a job without one
local lease, most = tonumber(ARGV[1]), tonumber(ARGV[2])
-- Whoever asks was told by a tick that it may, and may have slept since: the living renew their leases first.
local ticks = redis.call('HMGET', P .. ':ticks', 'last', 'hold')
if NOW - tonumber(ticks[1] or NOW) > math.max(lease / 2, 1000) or NOW < tonumber(ticks[2] or 0) then return 0 end
allow_oom()
local recovered = 0

for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. ':lease', '-inf', NOW, 'LIMIT', 0, most)) do
  local job = job_of(id)
  recovered = recovered + 1
  if not job then
    places().leave_removed(id)
  elseif job.status == 'running' and job.retryable and job.attempt < job.most_attempts then
    redis.call('HSET', job_key(id), 'rc', 'worker-lost')
    queue_again(job, false, pause(job, tonumber(ARGV[3])))
  else
    end_lease(job)
    redis.call('HDEL', job_key(id), 'stp')
    if job.status == 'running' then finalise(job, 'failed', {'rc', 'worker-lost', 'pb', ARGV[4]}) end
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. ':accepted', '-inf', NOW, 'LIMIT', 0, most)) do
  local job = job_of(id)
  recovered = recovered + 1
  if job and job.status == 'accepted' then
    finalise(job, 'failed', {'rc', 'no-worker', 'pb', ARGV[5]})
  else
    redis.call('ZREM', P .. ':accepted', id)
  end
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. ':later', '-inf', NOW, 'LIMIT', 0, most)) do
  redis.call('ZREM', P .. ':later', id)
  local job = job_of(id)
  if job and job.status == 'accepted' then redis.call('LPUSH', queue_key(job.queue), id) end
end

-- One may have gone on to a queue that nobody serves any more: others of its process need not wait for it.
for _, process in ipairs(redis.call('ZRANGEBYSCORE', P .. ':parked', '-inf', NOW - lease, 'LIMIT', 0, 10)) do
  redis.call('ZADD', P .. ':parked', NOW, process)
  places().unpark(process)
end

for _, holder in ipairs(redis.call('ZRANGEBYSCORE', P .. ':rooms', '-inf', NOW, 'LIMIT', 0, most)) do
  give_room_back(holder)
end

-- Calls whose time has come, or whose worker went away with them.
if redis.call('ZRANGEBYSCORE', P .. ':calls', '-inf', NOW + 0.5, 'LIMIT', 0, 1)[1] then subscribers().wake_callers() end

-- Workers of the version before this one know of no followers: those of a run that such a one had learn of it here.
local function look_after_followers(run)
  local job = job_of(run)
  if not job then
    for _, id in ipairs(redis.call('ZRANGE', sharing().followers_key(run), 0, most - 1)) do
      local follower = job_of(id)
      if follower then
        finalise(follower, 'failed', {'rc', 'worker-lost', 'pb', ARGV[4]})
      else
        redis.call('ZREM', sharing().followers_key(run), id)
      end
    end
    return
  end
  if redis.call('PTTL', job_key(run)) >= 0 then -- it was ended as a job that nobody shares
    for _, kind in ipairs({':j:', ':o:', ':log:', ':i:'}) do redis.call('PERSIST', P .. kind .. run) end
    redis.call('ZADD', P .. ':exp', NOW + job.ttl, run)
    sharing().offer(job, job.status, NOW + job.ttl)
  end
  sharing().bring_along(job)
end

for _, run in ipairs(redis.call('ZRANGEBYSCORE', P .. ':shared', '-inf', NOW, 'LIMIT', 0, 20)) do
  redis.call('ZADD', P .. ':shared', NOW + 10000, run)
  look_after_followers(run)
  if redis.call('EXISTS', sharing().followers_key(run)) == 0 then redis.call('ZREM', P .. ':shared', run) end
end

-- Workers of the version before this one held messages in sets of Dramatiq's.
local function give_back_held(worker)
  for _, queue in ipairs(redis.call('SMEMBERS', P .. ':queues')) do
    local held = queue_key('__acks__.' .. worker .. '.' .. queue)
    for _, id in ipairs(redis.call('SMEMBERS', held)) do
      if redis.call('HEXISTS', queue_key(queue) .. '.msgs', id) == 1 then redis.call('LPUSH', queue_key(queue), id) end
    end
    redis.call('DEL', held)
  end
end

for _, worker in ipairs(redis.call('ZRANGEBYSCORE', P .. ':workers', '-inf', NOW - lease, 'LIMIT', 0, most)) do
  give_back_held(worker)
  redis.call('ZREM', P .. ':workers', worker)
end
sharing().bring_others_along()
redis.call('UNLINK', P .. ':events') -- of the version before this one, which wrote there what nobody read
redis.call('ZREMRANGEBYSCORE', P .. ':hosts', '-inf', NOW - 86400000)
redis.call('ZREMRANGEBYSCORE', P .. ':offers', '-inf', NOW - 86400000)
return recovered
