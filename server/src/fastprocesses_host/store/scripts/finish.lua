-- The end of a run, by its claim only: final state, values, expiry, event, wake-up. A retry gets the same answer.
-- ARGV: id, claim, status, staged (1: values lie under the claim), most log lines, number of fields, fields…,
--       number of log lines, lines…, outputs and values…
local id, claim, to = ARGV[1], ARGV[2], ARGV[3]
allow_oom()
local found = read(id, 's', 'c', 'li', 'tt', 'stp')
local status = found[1]
if not status then return {'gone'} end
if found[2] ~= claim then return {'superseded'} end
if status ~= 'running' then
  redis.call('ZREM', P .. ':lease', id)
  redis.call('HDEL', job_key(id), 'stp')
  return {status == to and 'ok' or 'final'} -- the first answer was lost, or it was dismissed meanwhile
end

local fields, position = list_at(6)
local lines
lines, position = list_at(position)

redis.call('ZREM', P .. ':lease', id)
local staged, values = P .. ':o:' .. id .. ':' .. claim, P .. ':o:' .. id
if ARGV[4] == '1' and redis.call('EXISTS', staged) == 1 then
  redis.call('RENAME', staged, values)
  redis.call('PERSIST', values)
end
for i = position, #ARGV, 2 do redis.call('HSET', values, ARGV[i], ARGV[i + 1]) end
for _, line in ipairs(lines) do redis.call('RPUSH', P .. ':log:' .. id, line) end
if #lines > 0 then redis.call('LTRIM', P .. ':log:' .. id, -tonumber(ARGV[5]), -1) end
finalise(id, found[3], 'running', to, found[4], fields)
return {'ok'}
