-- How long ago an id was made, whose first part is the time of that; less than nothing by a clock that is ahead of ours.
local function age_of_id(id)
  return NOW - tonumber(string.sub(id, 1, 8) .. string.sub(id, 10, 13), 16)
end -- inline

local function is_too_far(age, longest) return age > longest or age < -5000 end -- inline

-- Dramatiq's own layout: a hash of messages by id, a list of ids. The message names the job and nothing else.
local function write_message(queue, id)
  return redis.call('HSET', queue_key(queue) .. '.msgs', id, '{"queue_name":"' .. queue
    .. '","actor_name":"run_job","args":["' .. id .. '"],"kwargs":{},"options":{"redis_message_id":"' .. id
    .. '"},"message_id":"' .. id .. '","message_timestamp":' .. STAMP .. '}')
end -- inline

-- The answer to who may ask for the second time.
local function unless_known(id, refusal)
  return redis.call('EXISTS', job_key(id)) == 1 and NOW or {refusal, NOW}
end -- inline
