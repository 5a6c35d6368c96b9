-- A job in no list whose caller has had all of it is of no more use, and its time is over; what may be asked for again
-- is not: by a key of its own, or by others that share its run.
-- ARGV: id
allow_oom()
local job, found = job_of(ARGV[1]), read(ARGV[1], 'fi', 'ik')
if job and not job.listed and not job.shared_as and found[1] and not found[2] then
  return redis.call('ZADD', P .. ':exp', 'XX', 'LT', 'CH', NOW, ARGV[1])
end
return 0
