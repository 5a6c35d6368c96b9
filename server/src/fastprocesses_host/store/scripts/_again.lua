-- How long a job waits before another attempt.
local function pause(job, first) return math.min(first * 2 ^ (job.attempt - 1), 60000) end

-- A job that was claimed waits again: before the others, or until a time to come.
local function queue_again(job, uncount, wait)
  redis.call('HDEL', job_key(job.id), 'c', 'pr', 'm', 'st')
  redis.call('HSET', job_key(job.id), 's', 'accepted', 'up', STAMP)
  if uncount then redis.call('HINCRBY', job_key(job.id), 'at', -1) end
  end_lease(job)
  redis.call('ZADD', P .. ':accepted', NOW + job.longest_wait, job.id)
  if counts_waiting(job) then count_waiting(job, 1) end
  write_message(job.queue, job.id)
  if wait > 0 then
    redis.call('ZADD', P .. ':later', NOW + wait, job.id)
  else
    redis.call('LPUSH', queue_key(job.queue), job.id)
  end
  move(job, 'accepted')
end
