-- Checks or writes the format of the store, and tells its time.
-- ARGV: format
local found = redis.call('HGET', P .. ':meta', 'format')
if not found then
  redis.call('HSET', P .. ':meta', 'format', ARGV[1])
  found = ARGV[1]
end
return {found, NOW}
