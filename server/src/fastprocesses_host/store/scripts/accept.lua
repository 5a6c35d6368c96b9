-- Record, indexes, inputs and message of a new job, together. Where it is taken, the time alone is the answer.
-- ARGV: id, limits (MessagePack: how long ago its id may be from, most queued, most queued of a caller (0: any number),
--       most queued of the process), terms, details, caller, number of more fields, fields and values…,
--       inputs and values…
local id = ARGV[1]
local longest_ago, most, most_of_caller, most_of_process = cmsgpack.unpack(ARGV[2])
local age = age_of_id(id)
if is_too_far(age, longest_ago) then return unless_known(id, 'clock') end
local job = job_with(id, 'accepted', false, ARGV[5], 0, false, false, false, false, unpacked_terms(ARGV[3]))

-- Whose jobs wait is only counted if too many wait at all.
local waiting = redis.call('ZCARD', P .. ':accepted')
if waiting >= most then return unless_known(id, 'full') end
if most_of_caller > 0 and waiting >= most_of_caller then
  local turn, count = redis.call('HGET', turns_key(job.queue), job.caller), 0
  if turn and redis.call('HEXISTS', P .. ':vacant', turn) == 0 then count = 1 end
  count = count + redis.call('ZCARD', backlog_key(job.queue, job.caller))
  count = count + tonumber(redis.call('HGET', P .. ':waiting', 'c:' .. job.caller) or 0)
  if count >= most_of_caller then return unless_known(id, 'caller-full') end
end
if most_of_process > 0 and waiting >= most_of_process then
  local count = tonumber(redis.call('HGET', P .. ':waiting', 'p:' .. job.process) or 0)
  if count >= most_of_process then return unless_known(id, 'process-full') end
end

if job.listed then
  local added = redis.pcall('ZADD', P .. ':jobs', 0, id)
  if added == 0 then return NOW end -- it is known
  if added ~= 1 then return redis.call('EXISTS', job_key(id)) == 1 and NOW or added end -- a full store knows it too
  redis.call('ZADD', P .. ':jobs:s:accepted', 0, id)
  redis.call('ZADD', P .. ':jobs:p:' .. job.process, 0, id)
  if job.owner ~= '' then redis.call('ZADD', P .. ':jobs:o:' .. job.owner, 0, id) end
elseif redis.call('EXISTS', job_key(id)) == 1 then
  return NOW
end
local last_field = 6 + tonumber(ARGV[6])
redis.call('HSET', job_key(id), 's', 'accepted', 't', ARGV[3], 'd', ARGV[4], 'cl', ARGV[5], unpack(ARGV, 7, last_field))
for first = last_field + 1, #ARGV, 1000 do
  redis.call('HSET', P .. ':i:' .. id, unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
for i = 7, last_field, 2 do
  if ARGV[i] == 'il' then stored().count_bytes(job.caller, stored().bytes_of(ARGV[i + 1])) end
end

-- It waits: in the list if its lane has no other one there, else behind the lane's others.
redis.call('ZADD', P .. ':accepted', NOW + job.longest_wait, id)
if counts_waiting(job) then count_waiting(job, 1) end
write_message(job.queue, id)
if redis.call('HSETNX', turns_key(job.queue), job.lane, id) == 1 then
  redis.call('RPUSH', queue_key(job.queue), id)
else
  redis.call('ZADD', backlog_key(job.queue, job.lane), 0, id)
end
return NOW
