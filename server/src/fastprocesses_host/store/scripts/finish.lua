-- The end of a run, by its claim only: final state, values, expiry, event, wake-up. A retry gets the same answer.
-- With a next claim the slot takes its next job in the same turn. Where the run has ended and that is all there is to
-- tell, it is told alone, or 1 if there is none.
-- The first write is one that needs no memory, so it ends well in a full store.
-- ARGV: next claim ('' for none), again (1: the answer to the same was lost), slot (MessagePack: lease, queues…),
--       id, claim, status, number of fields, fields…; where there are any, log lines or values: staged (1: values lie
--       under the claim), most log lines, number of log lines, lines…, outputs and values…
local is_shared = ARGV[2] == '1' -- of what is asked again nobody knows any more
local id, claim, to = ARGV[4], ARGV[5], ARGV[6]

local function finish()
  local found, job, why, status = read(id, 's', 't', 'c', 'wh', 'lg')
  if found[1] == 'running' and found[3] == claim and found[2] then
    job = job_with(id, 'running', claim, nil, nil, found[4], found[2], nil, nil, unpacked_terms(found[2]))
    job.has_log = found[5]
  end
  if not job or job.has_more or job.most_at_once > 0 or job.shared_as then job, why, status = running_of(id, claim) end
  if not job then return status == to and 'ok' or why end -- the first answer was lost, or it was dismissed meanwhile
  end_lease(job)
  is_shared = job.shared_as

  local last_field = 7 + tonumber(ARGV[7])
  local fields = {unpack(ARGV, 8, last_field)}
  if last_field < #ARGV then
    local is_staged, staged, values = ARGV[last_field + 1] == '1', P .. ':o:' .. id .. ':' .. claim, P .. ':o:' .. id
    local lines, first_value = list_at(last_field + 3)
    if is_staged and redis.call('EXISTS', staged) == 1 then
      redis.call('RENAME', staged, values)
      redis.call('PERSIST', values)
    end
    job.has_values = is_staged or first_value <= #ARGV
    for first = first_value, #ARGV, 1000 do
      redis.call('HSET', values, unpack(ARGV, first, math.min(first + 999, #ARGV)))
    end
    add_to_log(id, lines, tonumber(ARGV[last_field + 2]))
    job.has_log = job.has_log or #lines > 0
  end
  local outcome -- what the waiting host is told beside the end
  for i = 1, #fields, 2 do
    if fields[i] == 'res' and not job.listed then
      outcome = fields[i + 1]
    elseif fields[i] == 'ol' then
      job.caller, job.outputs_elsewhere = redis.call('HGET', job_key(id), 'cl'), fields[i + 1]
      stored().count_bytes(job.caller, stored().bytes_of(job.outputs_elsewhere))
    end
  end
  finalise(job, to, fields, outcome)
  return 'ok', true
end

-- What has ended only now was not asked for before, and the next job neither.
local outcome, is_first = finish()
local next = ARGV[1] ~= '' and take(ARGV[1], ARGV[2] == '1', is_first, cmsgpack.unpack(ARGV[3]))
if outcome == 'ok' and not is_shared and type(next) ~= 'table' then return next or 1 end
-- How many runs have followers that do not know of the end yet: see bring.lua.
return {outcome, next, is_shared and redis.call('ZCARD', P .. ':followed') or nil}
