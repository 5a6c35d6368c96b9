-- What several scripts share, here and in the other files that begin with an underscore. Each script is sent with those
-- of these definitions that it needs, so what stands at the left margin is one definition, and has an end there too.

-- KEYS[1] is the prefix, all other keys are built from it. Times are milliseconds of the store's own clock.
local P = KEYS[1]
local TIME = redis.call('TIME')
local STAMP = TIME[1] .. string.sub('000000' .. TIME[2], -6, -4) -- as a field has it; to write a number takes longer
local NOW = tonumber(STAMP)

local function job_key(id) return P .. ':j:' .. id end -- inline

-- A first write that frees memory: what follows it in the same script is allowed in a full store.
local function allow_oom() -- rare
  redis.call('DEL', P .. ':oom')
end

-- A list among the arguments: its length, then its items. Gives it, and where the arguments go on.
local function list_at(position) -- rare
  local count, items = tonumber(ARGV[position]), {}
  for i = position + 1, position + count do items[#items + 1] = ARGV[i] end
  return items, position + count + 1
end

local function read(id, ...) return redis.call('HMGET', job_key(id), ...) end -- inline

local function is_final(status) return status ~= 'accepted' and status ~= 'running' end -- inline

-- What is decided when a job is accepted: `Terms` in records.py, in that order. Of the packed array only the items are
-- unpacked, which makes no table.
local function unpacked_terms(packed) return cmsgpack.unpack(string.sub(packed, 4)) end -- inline

-- The same of any record: one of the version before this one has it in fields, and counts as having more.
local function terms_of(id, packed) -- rare
  if packed then return unpacked_terms(packed) end
  local found = read(id, 'p', 'q', 'li', 'tt', 'mc', 'cp', 'ki', 'rt', 'ma', 'mq', 'dl', 'kr', 'kl', 'sd', 'mr', 'mo',
    'ow', 'in')
  local function number(i) return tonumber(found[i] or 0) end
  return found[1], found[2] or '', found[3] ~= '0', found[3] == 'c', number(4), number(5), found[6] == '1',
    found[7] == '1', found[8] == '1', tonumber(found[9] or 1), number(10), number(11), number(12), number(13),
    found[14] or '', number(15), found[16] == 's', found[17] or '', found[18] ~= false, true
end

-- A job is an array, since one with names takes ten times as long to make: `job.status` is sent as `job[2]`, and so on
-- by the order that script_files.py has, at the end of which the terms are.
-- Its lane is whose turn it takes: its caller's. Jobs of a process that runs few at a time have a turn of their own, so
-- that they wait for their process and hold up nothing else of their caller.
local function job_with(id, status, claim, caller, attempt, waiting_host, packed_terms, packed_details, packed_inputs, ...)
  local job = {id, status, claim, caller, attempt, waiting_host, packed_terms, packed_details, packed_inputs,
    caller, nil, nil, nil, nil, nil, ...}
  if job.shared_as == '' then job.shared_as = nil end
  if caller and job.most_at_once > 0 then job.lane = caller .. '\t' .. job.process end
  return job
end

-- What the scripts need to know of a job; nil where there is none. `...`: 'd' and 'iv' for one that is to be taken.
-- Each field takes the store some time: taking a job, and ending one, reads no more than it needs.
local function job_of(id, ...) -- rare
  local found = read(id, 's', 't', 'c', 'cl', 'at', 'wh', 'lg', ...)
  if not found[1] then return nil end
  local job = job_with(id, found[1], found[3], found[4], tonumber(found[5] or 0), found[6], found[2], found[8], found[9],
    terms_of(id, found[2]))
  job.has_log = found[7] or not found[2] -- of those with all in fields only the log itself told
  if job.has_more or is_final(found[1]) then
    local rare = read(id, 'il', 'ol', 'fr')
    job.inputs_elsewhere, job.outputs_elsewhere, job.run = rare[1], rare[2], rare[3]
  end
  return job
end
