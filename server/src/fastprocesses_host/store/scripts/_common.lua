-- What several scripts share, here and in the other files that begin with an underscore. Each script is sent with those
-- of these definitions that it needs, so what stands at the left margin is one definition, and has an end there too.

-- KEYS[1] is the prefix, all other keys are built from it. Times are milliseconds of the store's own clock.
local P = KEYS[1]
local TIME = redis.call('TIME')
local STAMP = TIME[1] .. string.sub('000000' .. TIME[2], -6, -4) -- as a field has it; to write a number takes longer
local NOW = tonumber(STAMP)

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

-- What is decided when a job is accepted: `Terms` in records.py, in that order; then whether its record is one of the
-- version before this one, which has it in fields. Of the packed array only the items are unpacked, which makes no table.
local function terms_of(id, packed)
  if packed then return cmsgpack.unpack(string.sub(packed, 4)) end
  local found = read(id, 'p', 'q', 'li', 'tt', 'mc', 'cp', 'ki', 'rt', 'ma', 'mq', 'dl', 'kr', 'kl', 'sd', 'mr', 'mo',
    'ow', 'in')
  local function number(i) return tonumber(found[i] or 0) end
  return found[1], found[2] or '', found[3] ~= '0', found[3] == 'c', number(4), number(5), found[6] == '1',
    found[7] == '1', found[8] == '1', tonumber(found[9] or 1), number(10), number(11), number(12), number(13),
    found[14] or '', number(15), found[16] == 's', found[17] or '', found[18] ~= false, true
end

-- A job by its terms. Its lane is whose turn it takes: its caller's. Jobs of a process that runs few at a time have a turn
-- of their own, so that they wait for their process and hold up nothing else of their caller.
local function job_with(id, caller, process, queue, listed, calls, ttl, most_at_once, is_counted, keeps_inputs, retryable,
    most_attempts, longest_wait, deadline, results_ttl, log_ttl, shared_as, longest_run, is_sync, owner,
    has_inputs_at_hand, has_more)
  return {
    id = id, caller = caller, process = process, queue = queue, listed = listed, calls = calls, ttl = ttl,
    most_at_once = most_at_once, is_counted = is_counted, keeps_inputs = keeps_inputs, retryable = retryable,
    most_attempts = most_attempts, longest_wait = longest_wait, deadline = deadline, results_ttl = results_ttl,
    log_ttl = log_ttl, shared_as = shared_as ~= '' and shared_as or nil, longest_run = longest_run, is_sync = is_sync,
    owner = owner, has_inputs_at_hand = has_inputs_at_hand, has_more = has_more,
    lane = caller and most_at_once > 0 and caller .. '\t' .. process or caller,
  }
end

-- What the scripts need to know of a job; nil where there is none.
local function job_of(id)
  local found = read(id, 's', 't', 'c', 'cl', 'at', 'wh', 'lg', 'd', 'iv')
  if not found[1] then return nil end
  local job = job_with(id, found[4], terms_of(id, found[2]))
  job.status, job.claim, job.attempt, job.waiting_host = found[1], found[3], tonumber(found[5] or 0), found[6]
  job.has_log, job.packed_terms, job.packed_details, job.packed_inputs = found[7], found[2], found[8], found[9]
  if job.has_more or is_final(found[1]) then
    local rare = read(id, 'il', 'ol', 'fr')
    job.inputs_elsewhere, job.outputs_elsewhere, job.run = rare[1], rare[2], rare[3]
  end
  return job
end
