-- A run is offered to later requests no more, and its values neither; whether it was. Those that follow it go on.
-- ARGV: id
allow_oom()
local job = job_of(ARGV[1])
local key = job and job.shared_as and sharing().same_key(job.shared_as)
if not key or redis.call('GET', key) ~= job.id then return {0} end
return {redis.call('DEL', key)}
