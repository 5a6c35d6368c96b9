-- The next call to a subscriber that is due, for a while that of who asks; after that it is due again. Lanes take turns.
-- ARGV: claim, lease, lanes that have calls enough under way…
local claim, lease, lanes_at_once = ARGV[1], tonumber(ARGV[2]), 20 + #ARGV
allow_oom()
local calls = subscribers()
local busy = {}
for i = 3, #ARGV do busy[ARGV[i]] = true end

-- A call whose worker went away with it again and again is not made any more: it may be the reason.
local function is_ill_fated(id, was_out)
  return was_out and redis.call('HINCRBY', job_key(id), 'sx', 1) > 9
end

local function next_of(lane)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', calls.lane_key(lane), '-inf', NOW, 'LIMIT', 0, 20)) do
    local found = read(id, 'se', 'so', 'sn', 'sa', 'sb', 'sp')
    if not found[5] then
      redis.call('ZREM', calls.lane_key(lane), id)
    elseif not found[1] or is_ill_fated(id, found[2]) then
      calls.forget(id)
    else
      redis.call('ZADD', calls.lane_key(lane), NOW + lease, id)
      redis.call('HSET', job_key(id), 'so', claim)
      if found[1] == 'p' then redis.call('HSET', job_key(id), 'sp', NOW) end
      return {id, lane, found[1], tonumber(found[3]), tonumber(found[4] or 0), found[6] and 0 or 1, found[5],
        redis.call('HGETALL', job_key(id))}
    end
  end
end

local lanes = redis.call('ZRANGEBYSCORE', P .. ':calls', '-inf', NOW + 0.5, 'LIMIT', 0, lanes_at_once)
for _, lane in ipairs(lanes) do
  if not busy[lane] then
    local call = next_of(lane)
    calls.settle_lane(lane)
    if call then return call end
  end
end
if #lanes < lanes_at_once then redis.call('DEL', queue_key('__callbacks__')) end
return false
