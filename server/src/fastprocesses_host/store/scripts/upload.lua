-- Record of one upload, and its parts where it has some.
-- ARGV: id
local record = redis.call('HGETALL', upload_key(ARGV[1]))
if #record == 0 then return {'unknown'} end
local gone = redis.call('HGET', upload_key(ARGV[1]), 'go')
if gone then return {gone} end
if tonumber(redis.call('HGET', upload_key(ARGV[1]), 'ex')) <= NOW then return {'expired'} end
return {'ok', record, redis.call('LRANGE', upload_key(ARGV[1]) .. ':parts', 0, -1)}
