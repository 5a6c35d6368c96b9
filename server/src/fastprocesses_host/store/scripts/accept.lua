-- Record, indexes, inputs and message of a new job, together.
-- ARGV: id, id's time, allowed skew, most queued, listed, process, owner, queue, longest wait,
--       number of record fields, fields and values…, inputs and values…
local id, listed, process, owner, queue = ARGV[1], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
if redis.call('EXISTS', job_key(id)) == 1 then return {'ok', NOW} end
if math.abs(tonumber(ARGV[2]) - NOW) > tonumber(ARGV[3]) then return {'clock', NOW} end
local most = tonumber(ARGV[4]) -- the list may hold more than waits: ids of jobs that were dismissed meanwhile
if redis.call('ZCARD', P .. ':accepted') >= most or redis.call('LLEN', queue_key(queue)) >= 2 * most then
  return {'full', NOW}
end

local fields, position = list_at(10)

redis.call('HSET', job_key(id), 's', 'accepted', 'p', process, 'q', queue, 'mq', ARGV[9], unpack(fields))
if listed ~= '0' then
  redis.call('ZADD', P .. ':jobs', 0, id)
  redis.call('ZADD', P .. ':jobs:s:accepted', 0, id)
  redis.call('ZADD', P .. ':jobs:p:' .. process, 0, id)
  if owner ~= '' then redis.call('ZADD', P .. ':jobs:o:' .. owner, 0, id) end
end
redis.call('ZADD', P .. ':accepted', NOW + tonumber(ARGV[9]), id)
for i = position, #ARGV, 2 do redis.call('HSET', P .. ':i:' .. id, ARGV[i], ARGV[i + 1]) end
redis.call('SADD', P .. ':queues', queue)
enqueue(id, queue, 'RPUSH')
return {'ok', NOW}
