-- Record of a new upload.
-- ARGV: id, caller, bytes reserved, lifetime ms, most uploads of a caller, most bytes of a caller, most bytes of all
--       (each 0: any number), fields and values (with cl among them)…
local id, caller = ARGV[1], ARGV[2]
local ends = NOW + tonumber(ARGV[4])
if redis.call('EXISTS', upload_key(id)) == 1 then return {'ok', ends} end
local most = tonumber(ARGV[5])
if most > 0 and redis.call('HLEN', uploads_of_key(caller)) >= most then return {'caller-uploads', NOW} end
local state = reserve(id, caller, tonumber(ARGV[3]), tonumber(ARGV[6]), tonumber(ARGV[7]))
if state ~= 'ok' then return {state, NOW} end
redis.call('HSET', upload_key(id), 'ex', whole(ends), unpack(ARGV, 8))
redis.call('ZADD', UPLOADS_END, ends, id)
return {'ok', ends}
