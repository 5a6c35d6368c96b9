-- The end of a run, by its claim only: final state, values, expiry, event, wake-up. A retry gets the same answer.
-- With a next claim the slot takes its next job in the same turn.
-- The first write is one that needs no memory, so it ends well in a full store.
-- ARGV: next claim ('' for none), lease, again (1: the answer to the same was lost), number of queues, queues…,
--       id, claim, status, staged (1: values lie under the claim), most log lines,
--       number of fields, fields…, number of log lines, lines…, outputs and values…
local queues, at = list_at(4)
local is_shared = ARGV[3] == '1' -- of what is asked again nobody knows any more
local id, claim, to = ARGV[at], ARGV[at + 1], ARGV[at + 2]

local function finish()
  local job, why, status = running_of(id, claim)
  if not job then return status == to and 'ok' or why end -- the first answer was lost, or it was dismissed meanwhile
  end_lease(job)
  is_shared = job.shared_as

  local fields, position = list_at(at + 5)
  local lines
  lines, position = list_at(position)
  local staged, values = P .. ':o:' .. id .. ':' .. claim, P .. ':o:' .. id
  if ARGV[at + 3] == '1' and redis.call('EXISTS', staged) == 1 then
    redis.call('RENAME', staged, values)
    redis.call('PERSIST', values)
  end
  job.has_values = ARGV[at + 3] == '1' or position <= #ARGV
  job.has_log = job.has_log or #lines > 0
  for first = position, #ARGV, 1000 do
    redis.call('HSET', values, unpack(ARGV, first, math.min(first + 999, #ARGV)))
  end
  add_to_log(id, lines, tonumber(ARGV[at + 4]))
  local outcome -- what the waiting host is told beside the end
  for i = 1, #fields, 2 do
    if fields[i] == 'res' then
      outcome = fields[i + 1]
    elseif fields[i] == 'ol' then
      job.outputs_elsewhere = fields[i + 1]
      stored().count_bytes(job.caller, stored().bytes_of(job.outputs_elsewhere))
    end
  end
  finalise(job, to, fields, outcome)
  return 'ok'
end

local outcome = finish()
local next = ARGV[1] ~= '' and take(ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1', queues)
-- How many runs have followers that do not know of the end yet: see bring.lua.
return {outcome, next, is_shared and redis.call('ZCARD', P .. ':followed') or nil}
