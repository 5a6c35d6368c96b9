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

-- Whether an id was made longer ago than it may be, or by a clock that is ahead of ours.
local function too_far_from_now(made, longest) return NOW - made > longest or made - NOW > 5000 end

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
    'mq', 'dl', 'kr', 'kl', 'sd', 'fr')
  if not found[1] then return nil end
  local most_at_once = tonumber(found[9] or 0)
  return {
    id = id, status = found[1], claim = found[2], queue = found[3], process = found[4], caller = found[5],
    listed = found[6] ~= '0', calls = found[6] == 'c', ttl = tonumber(found[7]), waiting_host = found[8], most_at_once = most_at_once,
    lane = found[5] and lane_of(found[5], found[4], most_at_once),
    is_counted = found[10], keeps_inputs = found[11] == '1', inputs_elsewhere = found[12],
    outputs_elsewhere = found[13], has_log = found[14], retryable = found[15] == '1',
    attempt = tonumber(found[16] or 0), most_attempts = tonumber(found[17] or 1), longest_wait = tonumber(found[18] or 0),
    deadline = found[19] and tonumber(found[19]), results_ttl = tonumber(found[20]), log_ttl = tonumber(found[21]),
    shared_as = found[22], run = found[23],
  }
end

-- Who watches a job hears that it changed, and reads what.
local function tell_watchers(id) redis.call('PUBLISH', P .. ':ev:' .. id, '') end

-- Calls to subscribers wait in lanes, one for each of their hosts, until the time at which they are due; a lane has its
-- turn when its first call is due. One element in a list wakes who makes the calls. The functions are made only where
-- they are needed: most jobs have no subscriber.
local function subscribers()
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

-- A run may be shared: every request for it is a job of its own that follows it, and has no run itself (share.lua).
local function same_key(digest) return P .. ':same:' .. digest end
local function followers_key(run) return P .. ':followers:' .. run end
local finalise, bring_along

local function move(job, to)
  if job.calls then subscribers().tell(job.id, to) end
  if job.listed then
    redis.call('ZREM', P .. ':jobs:s:' .. job.status, job.id)
    redis.call('ZADD', P .. ':jobs:s:' .. to, 0, job.id)
    redis.call('XADD', P .. ':events', 'MAXLEN', '~', '10000', '*', 'job', job.id, 'status', to)
    tell_watchers(job.id)
  end
  job.status = to
  if job.shared_as then bring_along(job) end
end

-- Lines at the end of a log, of which the newest are kept; the record counts all that there ever were.
local function add_to_log(id, lines, most)
  if #lines == 0 or most == 0 then return end
  local key = P .. ':log:' .. id
  local count = math.max(redis.call('LLEN', key), tonumber(redis.call('HGET', job_key(id), 'lg') or 0))
  for first = 1, #lines, 1000 do
    redis.call('RPUSH', key, unpack(lines, first, math.min(first + 999, #lines)))
  end
  redis.call('LTRIM', key, -most, -1)
  redis.call('HSET', job_key(id), 'lg', count + #lines)
end

-- How many bytes lie in the value store: in all, and of each caller.
local function count_bytes(caller, by)
  if by == 0 then return end
  for _, name in ipairs({'all', 'c:' .. (caller or '-')}) do
    if redis.call('HINCRBY', P .. ':bytes', name, string.format('%.0f', by)) <= 0 then
      redis.call('HDEL', P .. ':bytes', name)
    end
  end
end

-- Values of a job that lie elsewhere: lines of a location, a tab and a length; without one they are not counted.
local function each_location(locations)
  return string.gmatch(locations or '', '([^\t\n]+)\t?(%d*)')
end

local function bytes_of(locations)
  local bytes = 0
  for _, length in each_location(locations) do bytes = bytes + (tonumber(length) or 0) end
  return bytes
end

-- Objects in the value store are deleted by whoever can reach it, from this list; they count no longer.
local function discard(caller, locations)
  if not locations then return end
  for location in each_location(locations) do redis.call('SADD', P .. ':garbage', location) end
  count_bytes(caller, -bytes_of(locations))
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

-- Whether a claim still owns its running job: 'ok', or why not; whether anybody can watch it, and it has a subscriber.
local function owned(id, claim)
  local found = read(id, 's', 'c', 'li', 'sd')
  if not found[1] then return 'gone' end
  if found[2] ~= claim then return 'superseded' end
  return found[1] == 'running' and 'ok' or 'final', found[3] ~= '0' or found[4], found[3] == 'c'
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

-- How long a run is kept that jobs followed: as long as any of them. `kx` is the time without those that are listed.
local function keep_run(job, expires)
  local key = job_key(job.run)
  redis.call('ZADD', P .. ':exp', 'XX', 'GT', expires, job.run)
  if not job.listed and tonumber(redis.call('HGET', key, 'kx') or expires) < expires then
    redis.call('HSET', key, 'kx', expires)
  end
end

-- The last listed job that followed a run is removed: nobody reads its values any more, but for new requests.
local function unkeep_run(job)
  local key = job_key(job.run)
  if not job.listed or not redis.call('HGET', key, 'fn') then return end
  if redis.call('HINCRBY', key, 'fn', -1) > 0 then return end
  local expires = redis.call('HGET', key, 'kx')
  if expires then redis.call('ZADD', P .. ':exp', 'XX', expires, job.run) end
end

-- A job follows its run no longer; a run that nobody follows is of no use.
local function leave_run(job)
  if redis.call('ZREM', followers_key(job.run), job.id) == 0 then return end
  if redis.call('EXISTS', followers_key(job.run)) == 1 then return end
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
local function offer_values(run, to, expires)
  redis.call('HSET', job_key(run.id), 'kx', expires)
  if redis.call('GET', same_key(run.shared_as)) ~= run.id then return end
  if to == 'successful' then
    redis.call('PEXPIRE', same_key(run.shared_as), run.ttl)
  else
    redis.call('DEL', same_key(run.shared_as))
  end
end

-- The only way into a final state. `fields` are more pairs for the record, `outcome` what the waiting host is told.
finalise = function(job, to, fields, outcome)
  local key = job_key(job.id)
  local expires = NOW + job.ttl
  if job.run then
    leave_run(job)
    keep_run(job, expires)
  elseif job.status == 'accepted' then
    leave_queue(job)
  end
  redis.call('HSET', key, 's', to, 'fi', NOW, 'up', NOW, 'ex', expires, unpack(fields))
  if job.listed or job.outputs_elsewhere or job.inputs_elsewhere or job.most_at_once > 0 or job.shared_as then
    redis.call('HDEL', key, 'mq', 'mr', 'w', 'dl', 'wh', -- what lies elsewhere counts for its caller until it is gone
      not job.outputs_elsewhere and not job.inputs_elsewhere and 'cl' or 'wh')
    redis.call('ZADD', P .. ':exp', expires, job.id)
    if job.results_ttl and to == 'successful' then
      redis.call('HSET', key, 'rx', NOW + job.results_ttl)
      redis.call('ZADD', P .. ':rexp', NOW + job.results_ttl, job.id)
    end
    if job.log_ttl then redis.call('PEXPIRE', P .. ':log:' .. job.id, job.log_ttl) end
  else -- nobody lists it, and nothing of it lies elsewhere: the store forgets it by itself
    redis.call('PEXPIRE', key, job.ttl)
    if job.has_values then redis.call('PEXPIRE', P .. ':o:' .. job.id, job.ttl) end
    if job.has_log then redis.call('PEXPIRE', P .. ':log:' .. job.id, job.ttl) end
    if job.keeps_inputs then redis.call('PEXPIRE', P .. ':i:' .. job.id, job.ttl) end
  end
  if not job.keeps_inputs then
    redis.call('DEL', P .. ':i:' .. job.id)
    if job.inputs_elsewhere then
      discard(job.caller, job.inputs_elsewhere)
      redis.call('HDEL', key, 'il')
    end
  end
  if job.shared_as then offer_values(job, to, expires) end
  move(job, to)
  if job.waiting_host then
    for host in string.gmatch(job.waiting_host, '%S+') do
      redis.call('PUBLISH', P .. ':done:' .. host, job.id .. (outcome or ''))
    end
  end
end

-- What jobs have of the run that they followed to its end; its values stay where they are.
local function told_of(run)
  local names, fields = {'out', 'res', 'rc', 'pb', 'at'}, {}
  for i, value in ipairs(read(run, unpack(names))) do
    if value then
      fields[#fields + 1] = names[i]
      fields[#fields + 1] = value
    end
  end
  return fields
end

local SCORES = {accepted = 0, running = 1}
local most_brought = 100

-- Those that follow a run get into its state, a bounded number a call; the others' turn comes (P:followed).
bring_along = function(run)
  local key, score = followers_key(run.id), SCORES[run.status]
  local others = score and 1 - score
  local ids = redis.call('ZRANGEBYSCORE', key, others or '-inf', others or '+inf', 'LIMIT', 0, most_brought)
  most_brought = most_brought - #ids
  local fields = not score and told_of(run.id)
  for _, id in ipairs(ids) do
    local job = job_of(id)
    if not job then
      redis.call('ZREM', key, id)
    elseif fields then
      finalise(job, run.status, fields)
    else
      redis.call('HSET', job_key(id), 's', run.status, 'st', NOW, 'up', NOW)
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
local function bring_others_along()
  for _, id in ipairs(redis.call('ZRANGE', P .. ':followed', 0, 9)) do
    local run = job_of(id)
    if run then bring_along(run) else redis.call('ZREM', P .. ':followed', id) end
  end
  return redis.call('ZCARD', P .. ':followed')
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
  if job and job.shared_as then
    if redis.call('EXISTS', followers_key(id)) == 1 then -- they have not all been told yet
      redis.call('ZADD', P .. ':exp', NOW + 60000, id)
      return
    end
    if redis.call('GET', same_key(job.shared_as)) == id then redis.call('DEL', same_key(job.shared_as)) end
  end
  redis.call('ZREM', P .. ':exp', id)
  if job then
    if job.most_at_once > 0 and redis.call('ZSCORE', P .. ':lease', id) then
      redis.call('HSET', P .. ':removed', id, job.process) -- its worker is inside still, and keeps its place
    else
      end_lease(job)
    end
    if job.run then
      leave_run(job)
      unkeep_run(job)
    elseif job.status == 'accepted' then
      leave_queue(job)
    end
    if job.listed then
      redis.call('ZREM', P .. ':jobs', id)
      redis.call('ZREM', P .. ':jobs:s:' .. job.status, id)
      redis.call('ZREM', P .. ':jobs:p:' .. job.process, id)
      local owner = redis.call('HGET', job_key(id), 'ow')
      if owner then redis.call('ZREM', P .. ':jobs:o:' .. owner, id) end
    end
    if job.calls then subscribers().forget(id) end
    discard(job.caller, job.inputs_elsewhere)
    discard(job.caller, job.outputs_elsewhere)
    if job.results_ttl then redis.call('ZREM', P .. ':rexp', id) end
  end
  redis.call('DEL', job_key(id), P .. ':i:' .. id, P .. ':o:' .. id, P .. ':log:' .. id)
end
