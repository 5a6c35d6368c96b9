-- What became of a call to a subscriber, by its claim only: a line of the job's log, and when the next one is due.
-- ARGV: id, claim, step, number, outcome (told, failed: again after the wait, given-up, back: not made), wait,
--       most log lines, line ('' for none)
local id, claim, step, number, outcome = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
allow_oom()
local calls = subscribers()
local key = job_key(id)
local found = read(id, 's', 'so', 'se', 'sn', 'sl', 'sp', 'si', 'sk', 'fi')
if not found[1] then return {'gone'} end
if found[2] ~= claim then return {'superseded'} end
local lane = found[5]
redis.call('HDEL', key, 'so', 'sx')
if ARGV[8] ~= '' then
  add_to_log(id, {ARGV[8]}, tonumber(ARGV[7]))
  local log = P .. ':log:' .. id
  local log_ttl = found[9] and job_of(id).log_ttl or 0
  if log_ttl > 0 and redis.call('PTTL', log) < 0 then redis.call('PEXPIRE', log, log_ttl) end
  tell_watchers(id)
end

-- When the subscriber is called next; nil: when something happens. false: never again.
local function next_due()
  if not found[3] then return false end
  if outcome == 'back' then return NOW end
  if outcome == 'failed' and found[3] == step then
    redis.call('HINCRBY', key, 'sa', 1)
    return NOW + tonumber(ARGV[6])
  end
  redis.call('HDEL', key, 'sa')
  if found[3] ~= step then return NOW end -- the job has ended meanwhile
  if step ~= 'p' then return false end
  if outcome == 'given-up' then
    redis.call('HSET', key, 'sk', (string.gsub(found[8], 'p', '')))
  elseif tonumber(found[4]) > number then
    return math.max(NOW, tonumber(found[6]) + tonumber(found[7]))
  end
  redis.call('HDEL', key, 'se')
end

local due = next_due()
if due then
  redis.call('ZADD', calls.lane_key(lane), due, id)
elseif due == nil then
  redis.call('ZREM', calls.lane_key(lane), id)
else
  calls.forget(id)
end
calls.settle_lane(lane)
return {'ok'}
