-- An upload in parts, and the one who may write to it: whoever has the lease, until somebody else has it.
-- ARGV: id, token of the writer, what is done, and for
--       lock: milliseconds of the lease; unlock; part: bytes before it, its bytes, its location, milliseconds of the lease;
--       cut: bytes that remain; whole: location of all
local id, token, what = ARGV[1], ARGV[2], ARGV[3]
local key, parts = upload_key(id), upload_key(id) .. ':parts'
local record = redis.call('HMGET', key, 'cl', 'wr', 'wu', 'go')
if not record[1] then return {record[4] or 'unknown', NOW} end

local function lease(milliseconds) redis.call('HSET', key, 'wr', token, 'wu', whole(NOW + tonumber(milliseconds))) end

local function length_of(part) return tonumber(string.match(part, '^(%d+) ')) end

local function location_of(part) return string.match(part, '^%d+ (.+)$') end

local function bytes_there()
  local sum = 0
  for _, part in ipairs(redis.call('LRANGE', parts, 0, -1)) do sum = sum + length_of(part) end
  return sum
end

if what == 'lock' then
  if record[2] and record[2] ~= token and tonumber(record[3]) > NOW then return {'busy', NOW} end
  lease(ARGV[4])
  return {'ok', NOW}
end
if record[2] ~= token then return {'busy', NOW} end
if what == 'unlock' then
  redis.call('HDEL', key, 'wr', 'wu')
elseif what == 'part' then
  local there = bytes_there()
  if there ~= tonumber(ARGV[4]) then -- a second try after a lost answer
    local last = redis.call('LINDEX', parts, -1)
    return {last and location_of(last) == ARGV[6] and 'ok' or 'busy', NOW}
  end
  redis.call('RPUSH', parts, ARGV[5] .. ' ' .. ARGV[6])
  lease(ARGV[7])
elseif what == 'cut' then
  local there = bytes_there()
  while there > tonumber(ARGV[4]) do
    local last = redis.call('RPOP', parts)
    there = there - length_of(last)
    stored().discard(nil, location_of(last))
  end
elseif what == 'whole' then
  for _, part in ipairs(redis.call('LRANGE', parts, 0, -1)) do
    if location_of(part) ~= ARGV[4] then stored().discard(nil, location_of(part)) end
  end
  redis.call('DEL', parts)
  redis.call('HSET', key, 'lo', ARGV[4])
end
return {'ok', NOW}
