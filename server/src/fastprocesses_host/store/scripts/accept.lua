-- include: _entering _bytes
-- Record, indexes, inputs and message of a new job, together.
-- ARGV: id, id's time, how long ago that may be, most queued, most queued of a caller (0: any number), most queued of
--       the process, terms, details, caller, number of more fields, fields and values…, inputs and values…
local id = ARGV[1]
if redis.call('EXISTS', job_key(id)) == 1 then return {'ok', NOW} end
if too_far_from_now(tonumber(ARGV[2]), tonumber(ARGV[3])) then return {'clock', NOW} end
local job = job_with(id, cmsgpack.unpack(ARGV[7]), ARGV[9])

local function waiting_of_caller()
  local turn = redis.call('HGET', turns_key(job.queue), job.caller)
  if not turn and job.most_at_once == 0 then return 0 end
  local has_turn = turn and redis.call('HEXISTS', P .. ':vacant', turn) == 0
  return (has_turn and 1 or 0) + redis.call('ZCARD', backlog_key(job.queue, job.caller))
    + tonumber(redis.call('HGET', P .. ':waiting', 'c:' .. job.caller) or 0)
end

local function waiting_of_process() return tonumber(redis.call('HGET', P .. ':waiting', 'p:' .. job.process) or 0) end

-- Whether a limit is reached, by a count that is only made if as many wait at all.
local waiting = redis.call('ZCARD', P .. ':accepted')
local function is_reached(limit, count) return limit > 0 and waiting >= limit and count() >= limit end

if waiting >= tonumber(ARGV[4]) then return {'full', NOW} end
if is_reached(tonumber(ARGV[5]), waiting_of_caller) then return {'caller-full', NOW} end
if is_reached(tonumber(ARGV[6]), waiting_of_process) then return {'process-full', NOW} end

local fields, position = list_at(10)
redis.call('HSET', job_key(id), 's', 'accepted', 't', ARGV[7], 'd', ARGV[8], 'cl', ARGV[9], unpack(fields))
if job.listed then
  redis.call('ZADD', P .. ':jobs', 0, id)
  redis.call('ZADD', P .. ':jobs:s:accepted', 0, id)
  redis.call('ZADD', P .. ':jobs:p:' .. job.process, 0, id)
  if job.owner ~= '' then redis.call('ZADD', P .. ':jobs:o:' .. job.owner, 0, id) end
end
for first = position, #ARGV, 1000 do
  redis.call('HSET', P .. ':i:' .. id, unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
for i = 1, #fields, 2 do
  if fields[i] == 'il' then count_bytes(job.caller, bytes_of(fields[i + 1])) end
end
enter_queue(job)
return {'ok', NOW}
