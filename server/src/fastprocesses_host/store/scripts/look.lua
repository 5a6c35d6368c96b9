-- The record of a job and the lines of its log from a position on, oldest first.
-- ARGV: id, how many lines there were before the first one wanted, most lines, most bytes
local id, from, most, bytes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local record = redis.call('HGETALL', job_key(id))
if #record == 0 then return {'gone'} end
local owner = redis.call('HGET', job_key(id), 'fr') or id -- the run that it follows has the log
local key, lines = P .. ':log:' .. owner, {}
local kept = redis.call('LLEN', key)
local count = math.max(kept, tonumber(redis.call('HGET', job_key(owner), 'lg') or 0))
local lost = count - kept -- lines that are not kept any more
local first = math.min(math.max(from, lost), count)
local found = most > 0 and redis.call('LRANGE', key, first - lost, first - lost + most - 1) or {}
for _, line in ipairs(found) do
  bytes = bytes - #line
  if bytes < 0 and #lines > 0 then break end
  lines[#lines + 1] = line
end
return {'ok', record, count, first, lines}
