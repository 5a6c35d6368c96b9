-- Jobs that wait: in lists of Dramatiq's own layout, behind others of their caller, or beside, for a place.
local function queue_key(queue) return P .. ':d:' .. queue end -- inline
local function turns_key(queue) return P .. ':turns:' .. queue end -- inline
local function backlog_key(queue, lane) return P .. ':backlog:' .. queue .. ':' .. lane end -- inline

-- Jobs of a process that runs few at a time are counted by caller; the others of a caller are its turn and backlog.
local function counts_waiting(job) return job.is_counted or job.most_at_once > 0 end -- inline

local function count_waiting(job, by) -- rare
  local function count(name)
    if redis.call('HINCRBY', P .. ':waiting', name, by) <= 0 then redis.call('HDEL', P .. ':waiting', name) end
  end
  if job.is_counted then count('p:' .. job.process) end
  if job.caller and job.most_at_once > 0 then count('c:' .. job.caller) end
end
