-- A worker that stops gives up a job: back into the queue where that does no harm, else failed.
-- ARGV: id, claim, untouched (1: its code never ran), reason, problem
local id, claim = ARGV[1], ARGV[2]
allow_oom()
local found = read(id, 's', 'c', 'li', 'tt', 'rt', 'q')
if not found[1] then return {'gone'} end
if found[2] ~= claim then return {'superseded'} end
if found[1] ~= 'running' then
  redis.call('ZREM', P .. ':lease', id)
  redis.call('HDEL', job_key(id), 'stp')
  return {'final'}
end
if (ARGV[3] == '1' or found[5] == '1') then
  queue_again(id, found[3], found[6], true)
  return {'ok', 'accepted'}
end
redis.call('ZREM', P .. ':lease', id)
finalise(id, found[3], 'running', 'failed', found[4], {'rc', ARGV[4], 'pb', ARGV[5]})
return {'ok', 'failed'}
