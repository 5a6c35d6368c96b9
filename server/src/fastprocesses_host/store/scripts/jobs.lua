-- A page of the job list, newest first (or, backwards, oldest first) through the indexes that hold the fewest jobs
-- and all that are wanted, side by side; what they do not know is read from the records, at most `budget` of them.
-- ARGV: lowest id and highest id (as ZRANGE BYLEX has them), backwards (1: towards newer), limit, budget,
--       owner ('' for any), shortest and longest run ('' for any), number of statuses, statuses…, processes…
local lowest, highest, backwards = ARGV[1], ARGV[2], ARGV[3] == '1'
local limit, budget = tonumber(ARGV[4]), tonumber(ARGV[5])
local owner, shortest, longest = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local wanted, position = list_at(9)
local processes = {unpack(ARGV, position)}

local function set_of(items)
  if #items == 0 then return nil end
  local set = {}
  for _, item in ipairs(items) do set[item] = true end
  return set
end

local function indexes_of(kind, items)
  local keys, count = {}, 0
  for _, item in ipairs(items) do
    keys[#keys + 1] = P .. ':jobs:' .. kind .. ':' .. item
    count = count + redis.call('ZCARD', keys[#keys])
  end
  return {keys = keys, count = count}
end

local by_process = indexes_of('p', processes)
local best = {keys = {P .. ':jobs'}, count = redis.call('ZCARD', P .. ':jobs')}
local choices = {
  #wanted > 0 and indexes_of('s', wanted), #processes > 0 and by_process, owner ~= '' and indexes_of('o', {owner}),
}
for i = 1, 3 do
  if choices[i] and choices[i].count <= best.count then best = choices[i] end
end

-- Each index is read in pieces, ever larger ones; the next id of all is the newest (oldest) of the first ones.
local function refill(walk)
  local chunk = math.min(walk.chunk, 500)
  walk.chunk = chunk * 2
  if backwards then
    walk.ids = redis.call('ZRANGE', walk.key, walk.from, highest, 'BYLEX', 'LIMIT', 0, chunk)
  else
    walk.ids = redis.call('ZRANGE', walk.key, walk.from, lowest, 'BYLEX', 'REV', 'LIMIT', 0, chunk)
  end
  walk.at = 1
  if #walk.ids > 0 then walk.from = '(' .. walk.ids[#walk.ids] end
end

local walks = {}
for _, key in ipairs(best.keys) do
  local walk = {key = key, from = backwards and lowest or highest, chunk = limit + 1}
  refill(walk)
  if #walk.ids > 0 then walks[#walks + 1] = walk end
end

local function next_id()
  local first
  for i, walk in ipairs(walks) do
    local id = walk.ids[walk.at]
    if not first or (id < walks[first].ids[walks[first].at]) == backwards then first = i end
  end
  if not first then return nil end
  local walk = walks[first]
  local id = walk.ids[walk.at]
  walk.at = walk.at + 1
  if walk.at > #walk.ids then
    refill(walk)
    if #walk.ids == 0 then table.remove(walks, first) end
  end
  return id
end

local statuses, names = set_of(wanted), set_of(processes)
local function is_wanted(id)
  local found = read(id, 's', 'st', 'fi', 't')
  if not found[1] or (statuses and not statuses[found[1]]) then return false end
  if names or owner ~= '' then
    local terms = {terms_of(id, found[4])}
    if (names and not names[terms[1]]) or (owner ~= '' and terms[18] ~= owner) then return false end
  end
  if shortest or longest then
    if not found[2] then return false end
    local ran = (tonumber(found[3]) or NOW) - tonumber(found[2])
    if (shortest and ran < shortest) or (longest and ran > longest) then return false end
  end
  return true
end

local rows, last, scanned = {}, '', 0
local id = next_id()
while id do
  if scanned == budget then return {rows, 1, last, by_process.count} end
  scanned = scanned + 1
  if is_wanted(id) then
    if #rows == limit then return {rows, 1, rows[limit][1], by_process.count} end
    rows[#rows + 1] = {id, redis.call('HGETALL', job_key(id))}
  end
  last = id
  id = next_id()
end
return {rows, 0, last, by_process.count}
