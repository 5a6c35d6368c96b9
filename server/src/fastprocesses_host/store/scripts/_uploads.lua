-- Uploads: a record each, how many bytes each of a caller may have, and when each one ends.
local UPLOADS_END = P .. ':uploads:exp'

local function upload_key(id) return P .. ':u:' .. id end
local function uploads_of_key(caller) return P .. ':uploads:of:' .. caller end

local function whole(number) return string.format('%.0f', number) end

-- An upload may have so many bytes; 'ok', or which limit is passed with them (0: there is none).
local function reserve(id, caller, bytes, most_of_caller, most_of_all)
  local more = bytes - tonumber(redis.call('HGET', uploads_of_key(caller), id) or 0)
  local function would_pass(most, name)
    return more > 0 and most > 0 and tonumber(redis.call('HGET', P .. ':bytes', name) or 0) + more > most
  end
  if would_pass(most_of_caller, 'c:' .. caller) then return 'caller-bytes' end
  if would_pass(most_of_all, 'all') then return 'bytes' end
  redis.call('HSET', uploads_of_key(caller), id, whole(bytes))
  stored().count_bytes(caller, more)
  return 'ok'
end

-- It is remembered for a while that there was an upload, and why it is there no more.
local function remove_upload(id, why, tombstone_ms)
  local key = upload_key(id)
  local found = redis.call('HMGET', key, 'cl', 'lo')
  redis.call('ZREM', UPLOADS_END, id)
  if not found[1] then return false end
  stored().discard(nil, found[2])
  for _, part in ipairs(redis.call('LRANGE', key .. ':parts', 0, -1)) do
    stored().discard(nil, string.match(part, '^%d+ (.+)$'))
  end
  local bytes = tonumber(redis.call('HGET', uploads_of_key(found[1]), id) or 0)
  redis.call('HDEL', uploads_of_key(found[1]), id)
  stored().count_bytes(found[1], -bytes)
  redis.call('DEL', key, key .. ':parts')
  redis.call('HSET', key, 'go', why)
  redis.call('PEXPIRE', key, tombstone_ms)
  return true
end
