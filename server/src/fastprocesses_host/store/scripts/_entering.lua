-- Whether an id was made longer ago than it may be, or by a clock that is ahead of ours; it begins with its time.
local function too_far_from_now(id, longest)
  local made = tonumber(string.sub(id, 1, 8) .. string.sub(id, 10, 13), 16)
  return NOW - made > longest or made - NOW > 5000
end

-- Dramatiq's own layout: a hash of messages by id, a list of ids. The message names the job and nothing else.
local function write_message(job)
  local message = '{"queue_name":"' .. job.queue .. '","actor_name":"run_job","args":["' .. job.id .. '"],"kwargs":{},'
    .. '"options":{"redis_message_id":"' .. job.id .. '"},"message_id":"' .. job.id .. '","message_timestamp":'
    .. STAMP .. '}'
  redis.call('HSET', queue_key(job.queue) .. '.msgs', job.id, message)
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
