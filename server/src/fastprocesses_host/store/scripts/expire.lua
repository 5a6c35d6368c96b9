-- Jobs, results that are kept for less, and uploads past their time are removed, a bounded number of each a call.
-- ARGV: most, how long it is remembered that there was an upload in ms
allow_oom()
local ids = redis.call('ZRANGEBYSCORE', P .. ':exp', '-inf', NOW, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(ids) do remove(id) end

local function remove_results(id)
  redis.call('ZREM', P .. ':rexp', id)
  local job = job_of(id)
  if not job then return end
  stored().discard(job.caller, job.outputs_elsewhere)
  redis.call('HDEL', job_key(id), 'ol', 'out')
  redis.call('DEL', P .. ':o:' .. id)
end

local of_results = redis.call('ZRANGEBYSCORE', P .. ':rexp', '-inf', NOW, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(of_results) do remove_results(id) end
local uploads = redis.call('ZRANGEBYSCORE', UPLOADS_END, '-inf', NOW, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(uploads) do remove_upload(id, 'expired', ARGV[2]) end
return math.max(#ids, #of_results, #uploads)
