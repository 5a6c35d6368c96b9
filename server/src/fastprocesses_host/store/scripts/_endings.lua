-- How jobs come to their ends, and who is told.
-- Who watches a job hears that it changed, and reads what.
local function tell_watchers(id) return redis.call('PUBLISH', P .. ':ev:' .. id, '') end -- inline

-- Calls to subscribers wait in lanes, one for each of their hosts, until the time at which they are due; a lane has its
-- turn when its first call is due. One element in a list wakes who makes the calls. The functions are made only where
-- they are needed: most jobs have no subscriber.
local function subscribers() -- rare
  local self, callers = {}, queue_key('__callbacks__')
  function self.lane_key(lane) return P .. ':calls:' .. lane end

  function self.wake_callers()
    if redis.call('EXISTS', callers) == 0 then redis.call('RPUSH', callers, '') end
  end

  -- When a lane has its next turn: behind those that wait already, in the same millisecond too.
  function self.settle_lane(lane)
    local first = redis.call('ZRANGE', self.lane_key(lane), 0, 0, 'WITHSCORES')
    if first[1] then
      redis.call('ZADD', P .. ':calls', math.max(tonumber(first[2]), NOW + 0.5), lane)
      if tonumber(first[2]) <= NOW then self.wake_callers() end
    elseif redis.call('ZREM', P .. ':calls', lane) == 1 and redis.call('EXISTS', P .. ':calls') == 0 then
      redis.call('DEL', callers)
    end
  end

  -- A subscriber is called no more, and the store does not keep its addresses.
  function self.forget(id)
    local lane = redis.call('HGET', job_key(id), 'sl')
    if not lane then return end
    redis.call('HDEL', job_key(id), 'sb', 'sl', 'sk', 'si', 'sn', 'se', 'so', 'sa', 'sp', 'sx')
    if redis.call('ZREM', self.lane_key(lane), id) == 1 then self.settle_lane(lane) end
  end

  -- A subscriber is to be told of a step of its job: once the call that is out has come back, and what is out of date
  -- not at all.
  function self.tell(id, to)
    local found = read(id, 'sk', 'sl', 'se', 'so', 'sp', 'si')
    if not found[1] then return end
    local step, due = ({accepted = 'p', running = 'p', successful = 's', failed = 'f'})[to], NOW
    if not step or not string.find(found[1], step, 1, true) then
      if step == 'p' then return end
      if not found[4] then return self.forget(id) end
      return redis.call('HDEL', job_key(id), 'se')
    end
    redis.call('HINCRBY', job_key(id), 'sn', 1)
    if found[3] == step then return end
    redis.call('HSET', job_key(id), 'se', step)
    redis.call('HDEL', job_key(id), 'sa')
    if step == 'p' then due = math.max(NOW, tonumber(found[5] or 0) + tonumber(found[6])) end
    if found[4] then return end
    redis.call('ZADD', self.lane_key(found[2]), due, id)
    redis.call('ZADD', P .. ':calls', 'LT', due, found[2])
    if due <= NOW then self.wake_callers() end
  end

  return self
end

local finalise, move
local most_brought = 100

-- A run may be shared: every request for it is a job of its own that follows it, and has no run itself (share.lua).
-- These functions too are made only where they are needed.
local function sharing() -- rare
  local self = {SCORES = {accepted = 0, running = 1}} -- of followers
  function self.same_key(digest) return P .. ':same:' .. digest end
  function self.followers_key(run) return P .. ':followers:' .. run end

  -- How long a run is kept that jobs followed: as long as any of them. `kx` is the time without those that are listed.
  function self.keep(job, expires)
    local key = job_key(job.run)
    redis.call('ZADD', P .. ':exp', 'XX', 'GT', expires, job.run)
    if not job.listed and tonumber(redis.call('HGET', key, 'kx') or expires) < expires then
      redis.call('HSET', key, 'kx', expires)
    end
  end

  -- The last listed job that followed a run is removed: nobody reads its values any more, but for new requests.
  function self.unkeep(job)
    local key = job_key(job.run)
    if not job.listed or not redis.call('HGET', key, 'fn') then return end
    if redis.call('HINCRBY', key, 'fn', -1) > 0 then return end
    local expires = redis.call('HGET', key, 'kx')
    if expires then redis.call('ZADD', P .. ':exp', 'XX', expires, job.run) end
  end

  -- A job follows its run no longer; a run that nobody follows is of no use.
  function self.leave(job)
    if redis.call('ZREM', self.followers_key(job.run), job.id) == 0 then return end
    if redis.call('EXISTS', self.followers_key(job.run)) == 1 then return end
    redis.call('ZREM', P .. ':shared', job.run)
    local run = job_of(job.run)
    if run and run.status == 'accepted' then
      finalise(run, 'dismissed', {})
    elseif run and run.status == 'running' then
      finalise(run, 'dismissed', {'stp', '1'})
      redis.call('PUBLISH', P .. ':stop', run.id)
    end
  end

  -- New requests get the values of a run that was successful for a while, and never those of another one.
  function self.offer(run, to, expires)
    redis.call('HSET', job_key(run.id), 'kx', expires)
    if redis.call('GET', self.same_key(run.shared_as)) ~= run.id then return end
    if to == 'successful' then
      redis.call('PEXPIRE', self.same_key(run.shared_as), run.ttl)
    else
      redis.call('DEL', self.same_key(run.shared_as))
    end
  end

  -- What jobs have of the run that they followed to its end; its values stay where they are.
  function self.told_of(run)
    local names, fields = {'out', 'res', 'rc', 'pb', 'at'}, {}
    for i, value in ipairs(read(run, unpack(names))) do
      if value then
        fields[#fields + 1] = names[i]
        fields[#fields + 1] = value
      end
    end
    return fields
  end

  -- Those that follow a run get into its state, a bounded number a call; the others' turn comes (P:followed).
  function self.bring_along(run)
    local key, score = self.followers_key(run.id), self.SCORES[run.status]
    local others = score and 1 - score
    local ids = redis.call('ZRANGEBYSCORE', key, others or '-inf', others or '+inf', 'LIMIT', 0, most_brought)
    most_brought = most_brought - #ids
    local fields = not score and self.told_of(run.id)
    for _, id in ipairs(ids) do
      local job = job_of(id)
      if not job then
        redis.call('ZREM', key, id)
      elseif fields then
        finalise(job, run.status, fields)
      else
        redis.call('HSET', job_key(id), 's', run.status, 'st', STAMP, 'up', STAMP)
        if run.status == 'accepted' then redis.call('HDEL', job_key(id), 'st') end
        redis.call('ZADD', key, score, id)
        move(job, run.status)
      end
    end
    if most_brought == 0 then
      redis.call('ZADD', P .. ':followed', NOW, run.id)
    else
      redis.call('ZREM', P .. ':followed', run.id)
    end
  end

  -- The same for runs whose followers were too many; how many runs are left.
  function self.bring_others_along()
    for _, id in ipairs(redis.call('ZRANGE', P .. ':followed', 0, 9)) do
      local run = job_of(id)
      if run then self.bring_along(run) else redis.call('ZREM', P .. ':followed', id) end
    end
    return redis.call('ZCARD', P .. ':followed')
  end

  return self
end

move = function(job, to)
  if job.calls then subscribers().tell(job.id, to) end
  if job.listed then
    redis.call('ZREM', P .. ':jobs:s:' .. job.status, job.id)
    redis.call('ZADD', P .. ':jobs:s:' .. to, 0, job.id)
    tell_watchers(job.id)
  end
  job.status = to
  if job.shared_as then sharing().bring_along(job) end
end

-- Whoever was inside a job is so no longer: its place is free for the next one of its process.
local function end_lease(job)
  redis.call('ZREM', P .. ':lease', job.id)
  if job.most_at_once > 0 and redis.call('SREM', places().inside_key(job.process), job.id) == 1 then
    places().unpark(job.process)
   end
end

-- The running job of a claim; else why it is none, and what it is: then nobody is inside it any more.
local function running_of(id, claim) -- rare
  local job = job_of(id)
  if not job then
    places().leave_removed(id)
    return nil, 'gone'
  end
  if job.claim ~= claim then return nil, 'superseded' end
  if job.status == 'running' then return job end
  end_lease(job)
  redis.call('HDEL', job_key(id), 'stp')
  return nil, 'final', job.status
end

-- The only way into a final state. `fields` are more pairs for the record, `outcome` what the waiting host is told.
finalise = function(job, to, fields, outcome)
  local key = job_key(job.id)
  local expires = NOW + job.ttl
  local ends = string.format('%.0f', expires)
  if job.run then
    sharing().leave(job)
    sharing().keep(job, expires)
  elseif job.status == 'accepted' then
    leave_queue(job)
  end
  local stays = job.listed or job.outputs_elsewhere or job.inputs_elsewhere or job.most_at_once > 0 or job.shared_as
  if not stays then
    redis.call('HSET', key, 's', to, 'fi', STAMP, 'ex', ends, unpack(fields))
  elseif job.outputs_elsewhere or job.inputs_elsewhere then -- what lies elsewhere counts for its caller
    redis.call('HSET', key, 's', to, 'fi', STAMP, 'ex', ends, 'iv', '', unpack(fields))
  else -- what is of no use any more is overwritten, which takes less time than another call
    redis.call('HSET', key, 's', to, 'fi', STAMP, 'ex', ends, 'cl', '-', 'iv', '', unpack(fields))
  end
  if stays then
    if job.waiting_host then redis.call('HDEL', key, 'wh') end
    redis.call('ZADD', P .. ':exp', ends, job.id)
    if job.results_ttl > 0 and to == 'successful' then
      redis.call('HSET', key, 'rx', NOW + job.results_ttl)
      redis.call('ZADD', P .. ':rexp', NOW + job.results_ttl, job.id)
    end
    if job.log_ttl > 0 then redis.call('PEXPIRE', P .. ':log:' .. job.id, job.log_ttl) end
  else -- nobody lists it, and nothing of it lies elsewhere: the store forgets it by itself
    redis.call('PEXPIREAT', key, ends)
    if job.has_values then redis.call('PEXPIRE', P .. ':o:' .. job.id, job.ttl) end
    if job.has_log then redis.call('PEXPIRE', P .. ':log:' .. job.id, job.ttl) end
    if job.keeps_inputs then redis.call('PEXPIRE', P .. ':i:' .. job.id, job.ttl) end
  end
  if not job.keeps_inputs then
    if not job.has_inputs_at_hand then redis.call('DEL', P .. ':i:' .. job.id) end
    if job.inputs_elsewhere then
      stored().discard(job.caller, job.inputs_elsewhere)
      redis.call('HDEL', key, 'il')
    end
  end
  if job.shared_as then sharing().offer(job, to, expires) end
  move(job, to)
  if job.waiting_host then
    for host in string.gmatch(job.waiting_host, '%S+') do
      redis.call('PUBLISH', P .. ':done:' .. host, job.id .. (outcome or ''))
    end
  end
end
