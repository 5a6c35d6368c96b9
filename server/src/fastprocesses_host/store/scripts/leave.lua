-- A worker signs off: jobs that it took and never heard of go back, and it is no longer counted.
-- ARGV: worker, offer, claims it got no answer to…
allow_oom()
local unheard = {}
for i = 3, #ARGV do unheard[ARGV[i]] = true end
if next(unheard) then
  for _, id in ipairs(redis.call('ZRANGE', P .. ':lease', 0, -1)) do
    local job = unheard[redis.call('HGET', job_key(id), 'c')] and job_of(id)
    if job and job.status == 'running' then queue_again(job, true, 0) end
  end
end
redis.call('ZREM', P .. ':workers', ARGV[1])
-- Others that offer the same say so again with their next tick.
redis.call('ZREM', P .. ':offers', ARGV[2])
return 1
