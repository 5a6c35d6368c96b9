-- A page of the job list: walks one index from the cursor, newest first, at most `budget` entries.
-- ARGV: index, cursor ('' for the start), backwards (1: towards newer), limit, budget,
--       number of statuses, statuses…, processes…
local index, cursor, backwards = P .. ':jobs' .. ARGV[1], ARGV[2], ARGV[3] == '1'
local limit, budget = tonumber(ARGV[4]), tonumber(ARGV[5])
local wanted, position = list_at(6)
local statuses, processes, process_count = {}, {}, #ARGV - position + 1
for _, status in ipairs(wanted) do statuses[status] = true end
for i = position, #ARGV do processes[ARGV[i]] = true end

local rows, last, scanned, has_more = {}, cursor, 0, 0
local chunk = math.min(limit + 1, 500)
while true do
  local ids
  if backwards then
    ids = redis.call('ZRANGE', index, last == '' and '-' or '(' .. last, '+', 'BYLEX', 'LIMIT', 0, chunk)
  else
    ids = redis.call('ZRANGE', index, last == '' and '+' or '(' .. last, '-', 'BYLEX', 'REV', 'LIMIT', 0, chunk)
  end
  for _, id in ipairs(ids) do
    if #rows == limit or scanned == budget then has_more = 1 break end
    scanned = scanned + 1
    last = id
    local found = read(id, 's', 'p')
    if (#wanted == 0 or statuses[found[1]]) and (process_count == 0 or processes[found[2]]) then
      rows[#rows + 1] = {id, redis.call('HGETALL', job_key(id))}
    end
  end
  if has_more == 1 or #ids < chunk then break end
end
return {rows, has_more, last}
