-- The end of a run, by its claim only: final state, values, expiry, wake-up. A retry gets the same answer.
-- With a next claim the slot takes its next job in the same turn. Where the run has ended and that is all there is to
-- tell, it is told alone, or 1 if there is none.
-- The first write is one that needs no memory, so it ends well in a full store.
-- ARGV: again (1: the answer to the same was lost), MessagePack (next claim ('' for none), id, claim, status, number of
--       fields and their values, lease, queues…), fields…; where there are any, log lines or values: staged (1: values
--       lie under the claim), most log lines, number of log lines, lines…, outputs and values…
local is_again = ARGV[1] == '1'

local function finish(next_claim, id, claim, to, field_count, ...)
  local found, job, why, status = read(id, 's', 't', 'c', 'wh', 'lg')
  if found[1] == 'running' and found[3] == claim and found[2] then
    job = job_with(id, 'running', claim, nil, nil, found[4], found[2], nil, nil, unpacked_terms(found[2]))
    job.has_log = found[5]
  end
  if not job or job.has_more or job.most_at_once > 0 or job.shared_as then job, why, status = running_of(id, claim) end

  -- The first answer was lost, or it was dismissed meanwhile.
  local outcome = job and 'ok' or status == to and 'ok' or why
  local is_shared = is_again -- of what is asked again nobody knows any more
  if job then
    end_lease(job)
    is_shared = job.shared_as
    local last_field = 2 + field_count
    local fields = {unpack(ARGV, 3, last_field)}
    if last_field < #ARGV then keep_lines_and_values(job, claim, last_field + 1) end
    local for_host -- what the waiting host is told beside the end
    for i = 1, #fields, 2 do
      if fields[i] == 'res' and not job.listed then
        for_host = fields[i + 1]
      elseif fields[i] == 'ol' then
        job.caller, job.outputs_elsewhere = redis.call('HGET', job_key(id), 'cl'), fields[i + 1]
        stored().count_bytes(job.caller, stored().bytes_of(job.outputs_elsewhere))
      end
    end
    finalise(job, to, fields, for_host)
  end

  -- What has ended only now was not asked for before, and the next job neither.
  local next = next_claim ~= '' and take(next_claim, is_again, job, ...)
  if outcome == 'ok' and not is_shared and type(next) ~= 'table' then return next or 1 end
  -- How many runs have followers that do not know of the end yet: see bring.lua.
  return {outcome, next, is_shared and redis.call('ZCARD', P .. ':followed') or nil}
end
return finish(cmsgpack.unpack(ARGV[2]))
