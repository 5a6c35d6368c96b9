-- A job and all that there is of it; more than its end, which may have been long ago.
local function remove(id)
  local job = job_of(id)
  if job and job.shared_as then
    if redis.call('EXISTS', sharing().followers_key(id)) == 1 then -- they have not all been told yet
      redis.call('ZADD', P .. ':exp', NOW + 60000, id)
      return
    end
    if redis.call('GET', sharing().same_key(job.shared_as)) == id then redis.call('DEL', sharing().same_key(job.shared_as)) end
  end
  redis.call('ZREM', P .. ':exp', id)
  if job then
    if job.most_at_once > 0 and redis.call('ZSCORE', P .. ':lease', id) then
      redis.call('HSET', P .. ':removed', id, job.process) -- its worker is inside still, and keeps its place
    else
      end_lease(job)
    end
    if job.run then
      sharing().leave(job)
      sharing().unkeep(job)
    elseif job.status == 'accepted' then
      leave_queue(job)
    end
    if job.listed then
      redis.call('ZREM', P .. ':jobs', id)
      redis.call('ZREM', P .. ':jobs:s:' .. job.status, id)
      redis.call('ZREM', P .. ':jobs:p:' .. job.process, id)
      if job.owner ~= '' then redis.call('ZREM', P .. ':jobs:o:' .. job.owner, id) end
    end
    if job.calls then subscribers().forget(id) end
    if job.inputs_elsewhere then stored().discard(job.caller, job.inputs_elsewhere) end
    if job.outputs_elsewhere then stored().discard(job.caller, job.outputs_elsewhere) end
    if job.results_ttl > 0 then redis.call('ZREM', P .. ':rexp', id) end
  end
  redis.call('DEL', job_key(id), P .. ':i:' .. id, P .. ':o:' .. id, P .. ':log:' .. id)
end
