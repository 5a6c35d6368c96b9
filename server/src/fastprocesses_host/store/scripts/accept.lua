-- Record, indexes, inputs and message of a new job, together.
-- ARGV: id, id's time, how long ago that may be, most queued, most queued of a caller (0: any number), most queued of the process (0: not counted),
--       listed, owner, number of record fields, fields and values (with p, q, cl, mq, mc among them)…, inputs and values…
local id = ARGV[1]
if redis.call('EXISTS', job_key(id)) == 1 then return {'ok', NOW} end
if too_far_from_now(tonumber(ARGV[2]), tonumber(ARGV[3])) then return {'clock', NOW} end
local fields, position = list_at(9)
local given = {}
for i = 1, #fields, 2 do given[fields[i]] = fields[i + 1] end
local job = {
  id = id, status = 'accepted', queue = given.q, process = given.p, caller = given.cl, listed = ARGV[7] ~= '0',
  longest_wait = tonumber(given.mq), is_counted = ARGV[6] ~= '0',
  most_at_once = tonumber(given.mc or 0),
}
job.lane = lane_of(job.caller, job.process, job.most_at_once)

local function waiting_of_caller()
  local turn = redis.call('HGET', turns_key(job.queue), job.caller)
  if not turn and job.most_at_once == 0 then return 0 end
  local has_turn = turn and redis.call('HEXISTS', P .. ':vacant', turn) == 0
  return (has_turn and 1 or 0) + redis.call('ZCARD', backlog_key(job.queue, job.caller))
    + tonumber(redis.call('HGET', P .. ':waiting', 'c:' .. job.caller) or 0)
end

local function waiting_of_process() return tonumber(redis.call('HGET', P .. ':waiting', 'p:' .. job.process) or 0) end

if redis.call('ZCARD', P .. ':accepted') >= tonumber(ARGV[4]) then return {'full', NOW} end
if ARGV[5] ~= '0' and waiting_of_caller() >= tonumber(ARGV[5]) then return {'caller-full', NOW} end
if job.is_counted and waiting_of_process() >= tonumber(ARGV[6]) then return {'process-full', NOW} end

redis.call('HSET', job_key(id), 's', 'accepted', unpack(fields))
if job.is_counted then redis.call('HSET', job_key(id), 'cp', 1) end
if job.listed then
  redis.call('ZADD', P .. ':jobs', 0, id)
  redis.call('ZADD', P .. ':jobs:s:accepted', 0, id)
  redis.call('ZADD', P .. ':jobs:p:' .. job.process, 0, id)
  if ARGV[8] ~= '' then redis.call('ZADD', P .. ':jobs:o:' .. ARGV[8], 0, id) end
end
for first = position, #ARGV, 1000 do
  redis.call('HSET', P .. ':i:' .. id, unpack(ARGV, first, math.min(first + 999, #ARGV)))
end
if given.il then count_bytes(job.caller, bytes_of(given.il)) end
enter_queue(job)
return {'ok', NOW}
