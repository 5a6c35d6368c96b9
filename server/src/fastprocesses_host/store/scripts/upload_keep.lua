-- An upload that something is done with: it lives on, may have more bytes, and its record changes.
-- ARGV: id, bytes reserved ('' for as before), lifetime ms, most bytes of a caller, most bytes of all (each 0: any number),
--       fields and values ('' removes)…
local id = ARGV[1]
local caller = redis.call('HGET', upload_key(id), 'cl')
if not caller then return {redis.call('HGET', upload_key(id), 'go') or 'unknown', NOW} end
if ARGV[2] ~= '' then
  local state = reserve(id, caller, tonumber(ARGV[2]), tonumber(ARGV[4]), tonumber(ARGV[5]))
  if state ~= 'ok' then return {state, NOW} end
end
local ends = NOW + tonumber(ARGV[3])
redis.call('HSET', upload_key(id), 'ex', whole(ends))
redis.call('ZADD', UPLOADS_END, ends, id)
for i = 6, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', upload_key(id), ARGV[i])
  else
    redis.call('HSET', upload_key(id), ARGV[i], ARGV[i + 1])
  end
end
return {'ok', ends}
