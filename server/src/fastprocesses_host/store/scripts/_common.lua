-- Shared by every script: KEYS[1] is the prefix, all other keys are built from it.
-- Times are milliseconds of the store's own clock.
local P = KEYS[1]
local TIME = redis.call('TIME')
local NOW = TIME[1] * 1000 + math.floor(TIME[2] / 1000)

local function job_key(id) return P .. ':j:' .. id end
local function queue_key(queue) return P .. ':d:' .. queue end
local function turns_key(queue) return P .. ':turns:' .. queue end
local function backlog_key(queue, lane) return P .. ':backlog:' .. queue .. ':' .. lane end
local function inside_key(process) return P .. ':inside:' .. process end
local function parked_key(process) return P .. ':parked:' .. process end

-- A first write that frees memory: what follows it in the same script is allowed in a full store.
local function allow_oom() redis.call('DEL', P .. ':oom') end

-- A list among the arguments: its length, then its items. Gives it, and where the arguments go on.
local function list_at(position)
  local count, items = tonumber(ARGV[position]), {}
  for i = position + 1, position + count do items[#items + 1] = ARGV[i] end
  return items, position + count + 1
end

local function read(id, ...)
  return redis.call('HMGET', job_key(id), ...)
end

-- Whose turn a job takes: its caller's. Those of a process that runs few at a time have a turn of their own, so that
-- they wait for their process and hold up nothing else of their caller.
local function lane_of(caller, process, most_at_once)
  if most_at_once > 0 then return caller .. '\t' .. process end
  return caller
end

-- What the scripts need to know of a job; nil where there is none.
local function job_of(id)
  local found = read(id, 's', 'c', 'q', 'p', 'cl', 'li', 'tt', 'wh', 'mc', 'cp', 'ki', 'il', 'ol', 'lg', 'rt', 'at', 'ma',
    'mq', 'dl')
  if not found[1] then return nil end
  local most_at_once = tonumber(found[9] or 0)
  return {
    id = id, status = found[1], claim = found[2], queue = found[3], process = found[4], caller = found[5],
    listed = found[6] ~= '0', ttl = tonumber(found[7]), waiting_host = found[8], most_at_once = most_at_once,
    lane = found[5] and lane_of(found[5], found[4], most_at_once),
    is_counted = found[10], keeps_inputs = found[11] == '1', inputs_elsewhere = found[12],
    outputs_elsewhere = found[13], has_log = found[14], retryable = found[15] == '1',
    attempt = tonumber(found[16] or 0), most_attempts = tonumber(found[17] or 1), longest_wait = tonumber(found[18] or 0),
    deadline = found[19] and tonumber(found[19]),
  }
end

local function move(job, to)
  if job.listed then
    redis.call('ZREM', P .. ':jobs:s:' .. job.status, job.id)
    redis.call('ZADD', P .. ':jobs:s:' .. to, 0, job.id)
    redis.call('XADD', P .. ':events', 'MAXLEN', '~', '10000', '*', 'job', job.id, 'status', to)
  end
  job.status = to
end

-- Objects in the value store are deleted by whoever can reach it, from this list.
local function discard(locations)
  if locations then
    for location in string.gmatch(locations, '[^\n]+') do
      redis.call('SADD', P .. ':garbage', location)
    end
  end
end

local function count(name, by)
  if redis.call('HINCRBY', P .. ':waiting', name, by) <= 0 then redis.call('HDEL', P .. ':waiting', name) end
end

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

-- A job without a place for its process waits beside the queue, and its lane with it; those somebody waits for are
-- the first to go on.
local function park(job)
  local is_waited_for = string.sub(job.queue, -5) == '.sync'
  redis.call('ZADD', parked_key(job.process), is_waited_for and NOW - 1e13 or NOW, job.id)
  redis.call('ZADD', P .. ':parked', 'NX', NOW, job.process)
end

-- The first one that is parked goes on if there is a place for it. Called whenever a place may have come free, or
-- a job that was on its way to one has gone.
local function unpark(process)
  local id = redis.call('ZRANGE', parked_key(process), 0, 0)[1]
  if id then
    local found = read(id, 'q', 'mc')
    if not found[1] then
      redis.call('ZREM', parked_key(process), id)
      return unpark(process)
    end
    if redis.call('SCARD', inside_key(process)) >= tonumber(found[2]) then return end
    redis.call('ZREM', parked_key(process), id)
    redis.call('LPUSH', queue_key(found[1]), id)
    redis.call('ZADD', P .. ':parked', NOW, process)
  end
  if redis.call('EXISTS', parked_key(process)) == 0 then redis.call('ZREM', P .. ':parked', process) end
end

-- Dramatiq's own layout: a hash of messages by id, a list of ids. The message names the job and nothing else.
local function write_message(job)
  local message = '{"queue_name":"' .. job.queue .. '","actor_name":"run_job","args":["' .. job.id .. '"],"kwargs":{},'
    .. '"options":{"redis_message_id":"' .. job.id .. '"},"message_id":"' .. job.id .. '","message_timestamp":'
    .. string.format('%d', NOW) .. '}'
  redis.call('HSET', queue_key(job.queue) .. '.msgs', job.id, message)
end

-- Jobs of a process that runs few at a time are counted by caller; the others of a caller are its turn and backlog.
local function count_waiting(job, by)
  if job.is_counted then count('p:' .. job.process, by) end
  if job.caller and job.most_at_once > 0 then count('c:' .. job.caller, by) end
end

-- An accepted job waits: in the list if its lane has no other one there, else behind the lane's others.
local function enter_queue(job)
  redis.call('ZADD', P .. ':accepted', NOW + job.longest_wait, job.id)
  count_waiting(job, 1)
  write_message(job)
  if redis.call('HSETNX', turns_key(job.queue), job.lane, job.id) == 1 then
    redis.call('RPUSH', queue_key(job.queue), job.id)
  else
    redis.call('ZADD', backlog_key(job.queue, job.lane), 0, job.id)
  end
end

local function stop_waiting(job)
  redis.call('ZREM', P .. ':accepted', job.id)
  redis.call('HDEL', queue_key(job.queue) .. '.msgs', job.id)
  count_waiting(job, -1)
  if job.retryable then redis.call('ZREM', P .. ':later', job.id) end
end

-- A job that was not taken waits no longer, wherever it did. Its id may stay in the list: the turn there is not lost,
-- it is vacant until the lane's next job takes it.
local function leave_queue(job)
  stop_waiting(job)
  local was_parked = job.most_at_once > 0 and redis.call('ZREM', parked_key(job.process), job.id) == 1
  if job.caller then -- else it was accepted before callers took turns
    if redis.call('HGET', turns_key(job.queue), job.lane) ~= job.id then
      redis.call('ZREM', backlog_key(job.queue, job.lane), job.id)
    elseif was_parked then
      pass_turn(job)
    else
      redis.call('HSET', P .. ':vacant', job.id, job.lane)
    end
  end
  if job.most_at_once > 0 then unpark(job.process) end
end

-- Whoever was inside a job is so no longer: its place is free for the next one of its process.
local function end_lease(job)
  redis.call('ZREM', P .. ':lease', job.id)
  if job.most_at_once > 0 and redis.call('SREM', inside_key(job.process), job.id) == 1 then unpark(job.process) end
end

-- The same where the job was removed before its worker had left it.
local function end_lease_of_removed(id)
  redis.call('ZREM', P .. ':lease', id)
  local process = redis.call('HGET', P .. ':removed', id)
  if process then
    redis.call('HDEL', P .. ':removed', id)
    if redis.call('SREM', inside_key(process), id) == 1 then unpark(process) end
  end
end

-- Whether a claim still owns its running job: 'ok', or why not.
local function owned(id, claim)
  local found = read(id, 's', 'c')
  if not found[1] then return 'gone' end
  if found[2] ~= claim then return 'superseded' end
  return found[1] == 'running' and 'ok' or 'final'
end

-- The running job of a claim; else why it is none, and what it is: then nobody is inside it any more.
local function running_of(id, claim)
  local job = job_of(id)
  if not job then
    end_lease_of_removed(id)
    return nil, 'gone'
  end
  if job.claim ~= claim then return nil, 'superseded' end
  if job.status == 'running' then return job end
  end_lease(job)
  redis.call('HDEL', job_key(id), 'stp')
  return nil, 'final', job.status
end

-- The only way into a final state. `fields` are more pairs for the record, `outcome` what the waiting host is told.
local function finalise(job, to, fields, outcome)
  local key = job_key(job.id)
  local expires = NOW + job.ttl
  if job.status == 'accepted' then leave_queue(job) end
  redis.call('HSET', key, 's', to, 'fi', NOW, 'up', NOW, 'ex', expires, unpack(fields))
  if job.listed or job.outputs_elsewhere or job.inputs_elsewhere or job.most_at_once > 0 then
    redis.call('HDEL', key, 'mq', 'mr', 'w', 'dl', 'wh', 'cl')
    redis.call('ZADD', P .. ':exp', expires, job.id)
  else -- nobody lists it, and nothing of it lies elsewhere: the store forgets it by itself
    redis.call('PEXPIRE', key, job.ttl)
    if job.has_values then redis.call('PEXPIRE', P .. ':o:' .. job.id, job.ttl) end
    if job.has_log then redis.call('PEXPIRE', P .. ':log:' .. job.id, job.ttl) end
    if job.keeps_inputs then redis.call('PEXPIRE', P .. ':i:' .. job.id, job.ttl) end
  end
  if not job.keeps_inputs then
    redis.call('DEL', P .. ':i:' .. job.id)
    if job.inputs_elsewhere then
      discard(job.inputs_elsewhere)
      redis.call('HDEL', key, 'il')
    end
  end
  move(job, to)
  if job.waiting_host then redis.call('PUBLISH', P .. ':done:' .. job.waiting_host, job.id .. (outcome or '')) end
end

-- How long a job waits before another attempt.
local function pause(job, first) return math.min(first * 2 ^ (job.attempt - 1), 60000) end

-- A job that was claimed waits again: before the others, or until a time to come.
local function queue_again(job, uncount, wait)
  redis.call('HDEL', job_key(job.id), 'c', 'w', 'pr', 'm', 'st')
  redis.call('HSET', job_key(job.id), 's', 'accepted', 'up', NOW)
  if uncount then redis.call('HINCRBY', job_key(job.id), 'at', -1) end
  end_lease(job)
  redis.call('ZADD', P .. ':accepted', NOW + job.longest_wait, job.id)
  count_waiting(job, 1)
  write_message(job)
  if wait > 0 then
    redis.call('ZADD', P .. ':later', NOW + wait, job.id)
  else
    redis.call('LPUSH', queue_key(job.queue), job.id)
  end
  move(job, 'accepted')
end

local function remove(id)
  local job = job_of(id)
  redis.call('ZREM', P .. ':exp', id)
  if job then
    if job.most_at_once > 0 and redis.call('ZSCORE', P .. ':lease', id) then
      redis.call('HSET', P .. ':removed', id, job.process) -- its worker is inside still, and keeps its place
    else
      end_lease(job)
    end
    if job.status == 'accepted' then leave_queue(job) end
    if job.listed then
      redis.call('ZREM', P .. ':jobs', id)
      redis.call('ZREM', P .. ':jobs:s:' .. job.status, id)
      redis.call('ZREM', P .. ':jobs:p:' .. job.process, id)
      local owner = redis.call('HGET', job_key(id), 'ow')
      if owner then redis.call('ZREM', P .. ':jobs:o:' .. owner, id) end
    end
    discard(job.inputs_elsewhere)
    discard(job.outputs_elsewhere)
  end
  redis.call('DEL', job_key(id), P .. ':i:' .. id, P .. ':o:' .. id, P .. ':log:' .. id)
end
