-- The accepted job that an id from the list stands for: itself, the next one of the lane whose turn it holds, or the
-- one that a message of somebody else names.
local function accepted_job(queue, id) -- rare
  local job = job_of(id, 'd', 'iv')
  if job and job.status == 'accepted' then return job end
  local lane = redis.call('HGET', P .. ':vacant', id)
  if lane and redis.call('HGET', turns_key(queue), lane) == id then -- else it was in this list beside its turn
    redis.call('HDEL', P .. ':vacant', id)
    local next = redis.call('ZPOPMIN', backlog_key(queue, lane))[1]
    if not next then
      redis.call('HDEL', turns_key(queue), lane)
      return nil
    end
    redis.call('HSET', turns_key(queue), lane, next)
    return job_of(next, 'd', 'iv')
  end
  local message = not job and redis.call('HGET', queue_key(queue) .. '.msgs', id)
  if not message then return nil end
  redis.call('HDEL', queue_key(queue) .. '.msgs', id)
  local is_read, content = pcall(cjson.decode, message)
  local arguments = is_read and type(content) == 'table' and content['args']
  local named = type(arguments) == 'table' and arguments[1]
  job = type(named) == 'string' and job_of(named, 'd', 'iv')
  if job and job.status == 'accepted' then return job end
end

-- An accepted job off the queues; one whose process has no place left is parked, one that nobody waits for is dropped.
local function next_accepted(...)
  for i = 1, select('#', ...) do
    local queue = select(i, ...)
    for _ = 1, 1000 do
      local id = redis.call('LPOP', queue_key(queue))
      if not id then break end
      local found, job = read(id, 's', 't', 'cl', 'at', 'd', 'iv')
      if found[1] == 'accepted' and found[2] then
        job = job_with(id, 'accepted', false, found[3], tonumber(found[4] or 0), false, found[2], found[5], found[6],
          unpacked_terms(found[2]))
      else
        job = accepted_job(queue, id)
      end
      if job and job.deadline > 0 and NOW > job.deadline then
        if job.caller then pass_turn(job) end
        finalise(job_of(job.id), 'dismissed', {'rc', 'deadline'})
      elseif job then
        local most = job.most_at_once
        if most == 0 or redis.call('SCARD', places().inside_key(job.process)) < most then return job end
        places().park(job)
      end
    end
  end
end

local function again_key(claim) return P .. ':again:' .. claim end -- inline

-- What was taken with a claim whose answer was lost; looked for among all that run. Of what is sent twice the first may
-- come last, when nobody waits for its answer any more: from now on it takes nothing.
local function taken_before(claim) -- rare
  redis.call('SET', again_key(claim), '', 'PX', 600000)
  for _, id in ipairs(redis.call('ZRANGE', P .. ':lease', 0, -1)) do
    local job = redis.call('HGET', job_key(id), 'c') == claim and job_of(id, 'd', 'iv')
    if job and job.status == 'running' then return job end
  end
end

-- The next job for a slot of a worker: accepted becomes running under the slot's claim, which its lease keeps from
-- then on. Nothing is between the queue and the claim that could be lost. Nothing where nothing waits.
-- `is_first`: it is certain that nobody asked for the same before, so nobody asks who did. `...`: the queues.
local function take(claim, is_again, is_first, lease, ...)
  local job
  if is_again then
    allow_oom()
    job = taken_before(claim)
    if job then redis.call('ZADD', P .. ':lease', NOW + lease, job.id) end
  elseif not is_first and redis.call('EXISTS', again_key(claim)) == 1 then
    return false
  end
  if not job then
    job = next_accepted(...)
    if not job then return false end
    stop_waiting(job)
    if job.caller and not pass_turn(job) then redis.call('ZREM', backlog_key(job.queue, job.lane), job.id) end
    if job.most_at_once > 0 then
      redis.call('SADD', places().inside_key(job.process), job.id)
      redis.call('ZREM', places().parked_key(job.process), job.id)
      places().unpark(job.process)
    end
    job.attempt = job.attempt + 1
    redis.call('HSET', job_key(job.id), 's', 'running', 'c', claim, 'st', STAMP, 'at', job.attempt)
    redis.call('ZADD', P .. ':lease', NOW + lease, job.id)
    move(job, 'running')
  end
  if job.packed_terms and job.has_inputs_at_hand and job.attempt < 128 then -- all of it, as one array of MessagePack
    return '\149\217' .. string.char(#job.id) .. job.id .. string.char(job.attempt) .. job.packed_terms
      .. job.packed_details .. (job.packed_inputs or '\128')
  end
  -- Of a record of the version before this one the worker makes out by itself what it needs.
  local details = job.packed_terms and job.packed_details or redis.call('HGETALL', job_key(job.id))
  local inputs = job.packed_inputs or (job.has_inputs_at_hand and {}) or redis.call('HGETALL', P .. ':i:' .. job.id)
  return {job.id, job.packed_terms, details, job.attempt, inputs}
end
