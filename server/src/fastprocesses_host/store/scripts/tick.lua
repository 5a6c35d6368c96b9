-- A sign of life: renews the leases of the jobs that the worker is inside, says which of them have to stop, finds
-- messages of the worker that it does not know of, and says whether jobs of others may be recovered now.
-- ARGV: worker ('' for a host), lease, offer, number of queues, queues…, number of held messages, ids…,
--       number of lost messages, ids…, jobs and claims…
local worker, lease = ARGV[1], tonumber(ARGV[2])
allow_oom()
local queues, position = list_at(4)
local held, lost
held, position = list_at(position)
lost, position = list_at(position)

-- After a gap in all ticks (the store was away, the machine slept) living workers renew first.
local last = tonumber(redis.call('HGET', P .. ':ticks', 'last') or NOW)
local hold = tonumber(redis.call('HGET', P .. ':ticks', 'hold') or 0)
if NOW - last > lease / 2 then hold = NOW + lease + 2000 end
redis.call('HSET', P .. ':ticks', 'last', NOW, 'hold', hold)

local known = {}
for _, id in ipairs(held) do known[id] = true end
for _, queue in ipairs(queues) do
  for _, id in ipairs(lost) do give_back(worker, queue, id) end
end

local unknown = {}
if worker ~= '' then
  redis.call('ZADD', P .. ':workers', NOW, worker)
  for _, queue in ipairs(queues) do
    for _, id in ipairs(redis.call('SMEMBERS', acks_key(worker, queue))) do
      if not known[id] then unknown[#unknown + 1] = id end
    end
  end
end
local is_known = 1 -- whether the store has what the worker offers; one that lost its data has not
if ARGV[3] ~= '' then
  is_known = redis.call('EXPIRE', P .. ':offer:' .. ARGV[3], 86400)
  if is_known == 1 then redis.call('ZADD', P .. ':offers', NOW, ARGV[3]) end
end

local verdicts = {}
for i = position, #ARGV, 2 do
  local id, claim = ARGV[i], ARGV[i + 1]
  local found = read(id, 's', 'c', 'st', 'mr')
  local verdict = 'ok'
  if not found[1] then
    verdict = 'gone'
  elseif found[2] ~= claim then
    verdict = 'superseded'
  elseif found[1] ~= 'running' then
    verdict = 'final'
  elseif found[4] and found[3] and NOW - tonumber(found[3]) > tonumber(found[4]) then
    verdict = 'overtime'
  end
  if verdict == 'ok' or verdict == 'overtime' or (verdict == 'final' and redis.call('ZSCORE', P .. ':lease', id)) then
    redis.call('ZADD', P .. ':lease', NOW + lease, id)
  end
  if verdict ~= 'ok' then
    verdicts[#verdicts + 1] = id
    verdicts[#verdicts + 1] = verdict
  end
end
return {NOW, NOW >= hold and 1 or 0, verdicts, unknown, is_known}
