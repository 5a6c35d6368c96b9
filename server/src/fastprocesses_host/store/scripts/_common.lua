-- Shared by every script: KEYS[1] is the prefix, all other keys are built from it.
-- Times are milliseconds of the store's own clock.
local P = KEYS[1]
local TIME = redis.call('TIME')
local NOW = TIME[1] * 1000 + math.floor(TIME[2] / 1000)

local function job_key(id) return P .. ':j:' .. id end
local function queue_key(queue) return P .. ':d:' .. queue end
local function acks_key(worker, queue) return P .. ':d:__acks__.' .. worker .. '.' .. queue end

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

local function move(id, listed, from, to)
  if listed ~= '0' then
    redis.call('ZREM', P .. ':jobs:s:' .. from, id)
    redis.call('ZADD', P .. ':jobs:s:' .. to, 0, id)
  end
end

local function tell(id, status)
  redis.call('XADD', P .. ':events', 'MAXLEN', '~', '10000', '*', 'job', id, 'status', status)
end

-- Objects in the value store are deleted by whoever can reach it, from this list.
local function discard(locations)
  if locations then
    for location in string.gmatch(locations, '[^\n]+') do
      redis.call('SADD', P .. ':garbage', location)
    end
  end
end

local function drop_inputs(id)
  local found = redis.call('HMGET', job_key(id), 'ki', 'il')
  if found[1] ~= '1' then
    redis.call('DEL', P .. ':i:' .. id)
    if found[2] then
      discard(found[2])
      redis.call('HDEL', job_key(id), 'il')
    end
  end
end

-- Dramatiq's own layout: a hash of messages by id, a list of ids. The message names the job and nothing else.
local function enqueue(id, queue, side)
  local message = '{"queue_name":"' .. queue .. '","actor_name":"run_job","args":["' .. id .. '"],"kwargs":{},'
    .. '"options":{"redis_message_id":"' .. id .. '"},"message_id":"' .. id .. '","message_timestamp":'
    .. string.format('%d', NOW) .. '}'
  redis.call('HSET', queue_key(queue) .. '.msgs', id, message)
  redis.call(side, queue_key(queue), id)
end

-- A message that a worker holds goes back to the front of its queue; 1 if there was one.
local function give_back(worker, queue, id)
  if redis.call('SREM', acks_key(worker, queue), id) == 0 then return 0 end
  if redis.call('HEXISTS', queue_key(queue) .. '.msgs', id) == 0 then return 0 end
  redis.call('LPUSH', queue_key(queue), id)
  return 1
end

-- Whether a claim still owns its running job: 'ok', or why not.
local function owned(id, claim)
  local found = read(id, 's', 'c')
  if not found[1] then return 'gone' end
  if found[2] ~= claim then return 'superseded' end
  return found[1] == 'running' and 'ok' or 'final'
end

-- The only way into a final state. `fields` are more pairs for the record.
local function finalise(id, listed, from, to, ttl, fields)
  local expires = NOW + tonumber(ttl)
  redis.call('HSET', job_key(id), 's', to, 'fi', NOW, 'up', NOW, 'ex', expires, unpack(fields))
  redis.call('HDEL', job_key(id), 'mq', 'mr', 'w', 'dl')
  redis.call('ZADD', P .. ':exp', expires, id)
  if from == 'accepted' then
    redis.call('ZREM', P .. ':accepted', id)
    redis.call('HDEL', queue_key(redis.call('HGET', job_key(id), 'q')) .. '.msgs', id)
  end
  move(id, listed, from, to)
  drop_inputs(id)
  tell(id, to)
  redis.call('PUBLISH', P .. ':done', id)
end

-- Puts a job that was claimed back into its queue, before the others.
local function queue_again(id, listed, queue, uncount)
  redis.call('HDEL', job_key(id), 'c', 'w', 'pr', 'm', 'st')
  redis.call('HSET', job_key(id), 's', 'accepted', 'up', NOW)
  if uncount then redis.call('HINCRBY', job_key(id), 'at', -1) end
  redis.call('ZREM', P .. ':lease', id)
  redis.call('ZADD', P .. ':accepted', NOW + tonumber(redis.call('HGET', job_key(id), 'mq')), id)
  move(id, listed, 'running', 'accepted')
  enqueue(id, queue, 'LPUSH')
  tell(id, 'accepted')
end

local function remove(id)
  local found = redis.call('HMGET', job_key(id), 's', 'p', 'ow', 'il', 'ol', 'li')
  redis.call('ZREM', P .. ':exp', id)
  redis.call('ZREM', P .. ':lease', id)
  redis.call('ZREM', P .. ':accepted', id)
  if found[1] and found[6] ~= '0' then
    redis.call('ZREM', P .. ':jobs', id)
    redis.call('ZREM', P .. ':jobs:s:' .. found[1], id)
    redis.call('ZREM', P .. ':jobs:p:' .. found[2], id)
    if found[3] then redis.call('ZREM', P .. ':jobs:o:' .. found[3], id) end
  end
  discard(found[4])
  discard(found[5])
  redis.call('DEL', job_key(id), P .. ':i:' .. id, P .. ':o:' .. id, P .. ':log:' .. id)
end
