-- The record of a job and the newest lines of its log, newest first.
-- ARGV: id, most lines, most bytes
local id, most, bytes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local record = redis.call('HGETALL', job_key(id))
if #record == 0 then return {'gone'} end
local key = P .. ':log:' .. (redis.call('HGET', job_key(id), 'fr') or id)
local count, lines = redis.call('LLEN', key), {}
local last = count - 1
while last >= 0 and #lines < most and bytes > 0 do
  local first = math.max(0, last - 99)
  local piece = redis.call('LRANGE', key, first, last)
  for i = #piece, 1, -1 do
    bytes = bytes - #piece[i]
    if #lines == most or bytes < 0 then break end
    lines[#lines + 1] = piece[i]
  end
  last = first - 1
end
return {'ok', record, count, lines}
