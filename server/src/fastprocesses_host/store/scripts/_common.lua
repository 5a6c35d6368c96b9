-- Shared by every script: KEYS[1] is the prefix, all other keys are built from it.
-- Times are milliseconds of the store's own clock.
local P = KEYS[1]
local TIME = redis.call('TIME')
local NOW = TIME[1] * 1000 + math.floor(TIME[2] / 1000)

local STAMP = string.format('%.0f', NOW) -- as a field has it; the store would write it anew for each

local function job_key(id) return P .. ':j:' .. id end

-- A first write that frees memory: what follows it in the same script is allowed in a full store.
local function allow_oom() redis.call('DEL', P .. ':oom') end

-- A list among the arguments: its length, then its items. Gives it, and where the arguments go on.
local function list_at(position)
  local count, items = tonumber(ARGV[position]), {}
  for i = position + 1, position + count do items[#items + 1] = ARGV[i] end
  return items, position + count + 1
end

local function read(id, ...)
  return redis.call('HMGET', job_key(id), ...)
end

local function is_final(status) return status ~= 'accepted' and status ~= 'running' end

-- What is decided when a job is accepted, from a record of the version before this one.
local function terms_before(id)
  local found = read(id, 'p', 'q', 'li', 'tt', 'mc', 'cp', 'ki', 'rt', 'ma', 'mq', 'dl', 'kr', 'kl', 'sd', 'mr', 'mo',
    'ow', 'in')
  local function number(i) return tonumber(found[i] or 0) end
  return {
    found[1], found[2] or '', found[3] ~= '0', found[3] == 'c', number(4), number(5), found[6] == '1', found[7] == '1',
    found[8] == '1', tonumber(found[9] or 1), number(10), number(11), number(12), number(13), found[14] or '',
    number(15), found[16] == 's', found[17] or '', found[18] ~= false, true,
  }
end

-- A job by what was decided when it was accepted: `Terms` in records.py, in that order. Its lane is whose turn it takes:
-- its caller's. Jobs of a process that runs few at a time have a turn of their own, so that they wait for their process
-- and hold up nothing else of their caller.
local function job_with(id, terms, caller)
  local lane = caller
  if caller and terms[6] > 0 then lane = caller .. '\t' .. terms[1] end
  return {
    id = id, process = terms[1], queue = terms[2], listed = terms[3], calls = terms[4], ttl = terms[5],
    most_at_once = terms[6], is_counted = terms[7], keeps_inputs = terms[8], retryable = terms[9],
    most_attempts = terms[10], longest_wait = terms[11], deadline = terms[12], results_ttl = terms[13],
    log_ttl = terms[14], shared_as = terms[15] ~= '' and terms[15] or nil, longest_run = terms[16], is_sync = terms[17],
    owner = terms[18], has_inputs_at_hand = terms[19], caller = caller,
    lane = lane,
  }
end

-- What the scripts need to know of a job; nil where there is none.
local function job_of(id)
  local found = read(id, 's', 't', 'c', 'cl', 'at', 'wh', 'lg')
  if not found[1] then return nil end
  local terms = found[2] and cmsgpack.unpack(found[2]) or terms_before(id)
  local job = job_with(id, terms, found[4])
  job.status, job.claim, job.attempt, job.waiting_host = found[1], found[3], tonumber(found[5] or 0), found[6]
  job.has_log = found[7]
  if terms[20] or is_final(found[1]) then
    local rare = read(id, 'il', 'ol', 'fr')
    job.inputs_elsewhere, job.outputs_elsewhere, job.run = rare[1], rare[2], rare[3]
  end
  return job
end
