-- Lines at the end of a log, of which the newest are kept; the record counts all that there ever were.
local function add_to_log(id, lines, most) -- rare
  if #lines == 0 or most == 0 then return end
  local key = P .. ':log:' .. id
  local count = math.max(redis.call('LLEN', key), tonumber(redis.call('HGET', job_key(id), 'lg') or 0))
  for first = 1, #lines, 1000 do
    redis.call('RPUSH', key, unpack(lines, first, math.min(first + 999, #lines)))
  end
  redis.call('LTRIM', key, -most, -1)
  redis.call('HSET', job_key(id), 'lg', count + #lines)
end
