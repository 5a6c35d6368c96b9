-- The record of one job.
-- ARGV: id
local record = redis.call('HGETALL', job_key(ARGV[1]))
if #record == 0 then
  return {redis.call('EXISTS', P .. ':t:' .. ARGV[1]) == 1 and 'tombstone' or 'gone'}
end
return {'ok', record}
