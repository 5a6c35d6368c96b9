-- Each lane has one id in the list of a queue; when its turn has come, that of the lane's next job begins.
local function pass_turn(job)
  local turns = turns_key(job.queue)
  if redis.call('HGET', turns, job.lane) ~= job.id then return false end
  local next = redis.call('ZPOPMIN', backlog_key(job.queue, job.lane))[1]
  if next then
    redis.call('HSET', turns, job.lane, next)
    redis.call('RPUSH', queue_key(job.queue), next)
  else
    redis.call('HDEL', turns, job.lane)
  end
  return true
end

-- Jobs of a process that runs few at a time: those inside it, and those that wait beside the queue for a place. Made only
-- where it is needed: most processes run any number.
local function places() -- rare
  local self = {}
  function self.inside_key(process) return P .. ':inside:' .. process end
  function self.parked_key(process) return P .. ':parked:' .. process end

  -- A job without a place waits beside the queue, and its lane with it; those somebody waits for are the first to go on.
  function self.park(job)
    local is_waited_for = string.sub(job.queue, -5) == '.sync'
    redis.call('ZADD', self.parked_key(job.process), is_waited_for and NOW - 1e13 or NOW, job.id)
    redis.call('ZADD', P .. ':parked', 'NX', NOW, job.process)
  end

  -- The first one that is parked goes on if there is a place for it. Called whenever a place may have come free, or
  -- a job that was on its way to one has gone.
  function self.unpark(process)
    local parked = self.parked_key(process)
    local id = redis.call('ZRANGE', parked, 0, 0)[1]
    if id then
      local job = job_of(id)
      if not job then
        redis.call('ZREM', parked, id)
        return self.unpark(process)
      end
      if redis.call('SCARD', self.inside_key(process)) >= job.most_at_once then return end
      redis.call('ZREM', parked, id)
      redis.call('LPUSH', queue_key(job.queue), id)
      redis.call('ZADD', P .. ':parked', NOW, process)
    end
    if redis.call('EXISTS', parked) == 0 then redis.call('ZREM', P .. ':parked', process) end
  end

  -- A worker leaves a job that was removed while it was inside.
  function self.leave_removed(id)
    redis.call('ZREM', P .. ':lease', id)
    local process = redis.call('HGET', P .. ':removed', id)
    if process then
      redis.call('HDEL', P .. ':removed', id)
      if redis.call('SREM', self.inside_key(process), id) == 1 then self.unpark(process) end
    end
  end

  return self
end

local function stop_waiting(job)
  redis.call('ZREM', P .. ':accepted', job.id)
  redis.call('HDEL', queue_key(job.queue) .. '.msgs', job.id)
  if counts_waiting(job) then count_waiting(job, -1) end
  if job.retryable then redis.call('ZREM', P .. ':later', job.id) end
end

-- A job that was not taken waits no longer, wherever it did. Its id may stay in the list: the turn there is not lost,
-- it is vacant until the lane's next job takes it.
local function leave_queue(job) -- rare
  stop_waiting(job)
  local was_parked = job.most_at_once > 0 and redis.call('ZREM', places().parked_key(job.process), job.id) == 1
  if job.caller then -- else it was accepted before callers took turns
    if redis.call('HGET', turns_key(job.queue), job.lane) ~= job.id then
      redis.call('ZREM', backlog_key(job.queue, job.lane), job.id)
    elseif was_parked then
      pass_turn(job)
    else
      redis.call('HSET', P .. ':vacant', job.id, job.lane)
    end
  end
  if job.most_at_once > 0 then places().unpark(job.process) end
end
