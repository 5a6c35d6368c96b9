-- Record, indexes, inputs and message of a new job, together.
-- ARGV: id, id's time, how long ago that may be, most queued, most queued of a caller (0: any number), most queued of
--       the process, terms, details, caller, number of more fields, fields and values…, inputs and values…
local id = ARGV[1]
if redis.call('EXISTS', job_key(id)) == 1 then return {'ok', NOW} end
if too_far_from_now(tonumber(ARGV[2]), tonumber(ARGV[3])) then return {'clock', NOW} end
local job = job_with(id, ARGV[9], terms_of(id, ARGV[7]))

-- Whose jobs wait is only counted if too many wait at all.
local waiting, most_of_caller, most_of_process = redis.call('ZCARD', P .. ':accepted'), tonumber(ARGV[5]), tonumber(ARGV[6])
if waiting >= tonumber(ARGV[4]) then return {'full', NOW} end
if most_of_caller > 0 and waiting >= most_of_caller then
  local turn, count = redis.call('HGET', turns_key(job.queue), job.caller), 0
  if turn and redis.call('HEXISTS', P .. ':vacant', turn) == 0 then count = 1 end
  count = count + redis.call('ZCARD', backlog_key(job.queue, job.caller))
  count = count + tonumber(redis.call('HGET', P .. ':waiting', 'c:' .. job.caller) or 0)
  if count >= most_of_caller then return {'caller-full', NOW} end
end
if most_of_process > 0 and waiting >= most_of_process then
  local count = tonumber(redis.call('HGET', P .. ':waiting', 'p:' .. job.process) or 0)
  if count >= most_of_process then return {'process-full', NOW} end
end

local last_field = 10 + tonumber(ARGV[10])
redis.call('HSET', job_key(id), 's', 'accepted', 't', ARGV[7], 'd', ARGV[8], 'cl', ARGV[9], unpack(ARGV, 11, last_field))
if job.listed then
  redis.call('ZADD', P .. ':jobs', 0, id)
  redis.call('ZADD', P .. ':jobs:s:accepted', 0, id)
  redis.call('ZADD', P .. ':jobs:p:' .. job.process, 0, id)
  if job.owner ~= '' then redis.call('ZADD', P .. ':jobs:o:' .. job.owner, 0, id) end
end
for first = last_field + 1, #ARGV, 1000 do
  redis.call('HSET', P .. ':i:' .. id, unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
for i = 11, last_field, 2 do
  if ARGV[i] == 'il' then stored().count_bytes(job.caller, stored().bytes_of(ARGV[i + 1])) end
end
enter_queue(job)
return {'ok', NOW}
