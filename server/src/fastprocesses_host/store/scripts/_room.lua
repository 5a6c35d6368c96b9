-- Room that somebody held in the value store is free again; what was written there counts for its job by now.
local function give_room_back(holder)
  local key = P .. ':room:' .. holder
  local held = redis.call('HMGET', key, 'bytes', 'caller')
  redis.call('DEL', key)
  redis.call('ZREM', P .. ':rooms', holder)
  if held[1] then stored().count_bytes(held[2], -tonumber(held[1])) end
end
