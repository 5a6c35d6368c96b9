-- with: accept
-- A job whose request has a key of its own (Idempotency-Key), or may share the run of an equal request: then the job
-- follows a run that has ended well, one that is under way, or a new one. A retry does no harm.
-- ARGV: those of accept, for the run where one may be shared, else for the job; then, counted by the very last one:
--       job, key ('' for none), digest of the request, key's lifetime, host that waits ('' for none),
--       what equal requests share ('' for nothing), oldest values wanted ('' for any, 0: a run that has not begun),
--       values only (1: no run), queue for a run that is waited for ('' for none), listed, owner, fields of the job…
local shares = sharing()
local count = tonumber(ARGV[#ARGV])
local given = {unpack(ARGV, #ARGV - count, #ARGV - 1)}
for i = #ARGV, #ARGV - count, -1 do ARGV[i] = nil end
local id, key, digest, host = given[1], given[2] ~= '' and P .. ':key:' .. given[2], given[3], given[5]
local shared_as, oldest, listed, owner = given[6], tonumber(given[7]), given[10] ~= '0', given[11]

local longest_ago, most_waiting = cmsgpack.unpack(ARGV[2])

local function also_tell(other)
  local found = read(other, 's', 'wh')
  if host == '' or (found[1] ~= 'accepted' and found[1] ~= 'running') then return end
  local hosts = found[2] or ''
  if not string.find(hosts, host, 1, true) then redis.call('HSET', job_key(other), 'wh', hosts .. ' ' .. host) end
end

-- What became of the same key before; nil where it is new.
local function known()
  local found = key and redis.call('GET', key)
  if not found then return nil end
  local job, request = string.match(found, '^(%S+) (%S+)$')
  if request ~= digest then return {'other', NOW} end
  also_tell(job)
  return {'same', NOW, job}
end

-- A run whose values will do, and their age where it has ended; nil where there is none.
local function run_to_share()
  local found = redis.call('GET', shares.same_key(shared_as))
  local run = found and job_of(found)
  if not run then return nil end
  if run.status == 'successful' then
    local age = NOW - tonumber(redis.call('HGET', job_key(run.id), 'fi'))
    if not oldest or (oldest > 0 and age <= oldest) then return run, age end
  elseif given[8] ~= '1' and (run.status == 'accepted' or (run.status == 'running' and oldest ~= 0)) then
    return run
  end
end

local function write_follower(run, status)
  redis.call('HSET', job_key(id), 's', status, 'fr', run.id, unpack(given, 12))
  if not listed then return end
  redis.call('HINCRBY', job_key(run.id), 'fn', 1)
  redis.call('ZADD', P .. ':jobs', 0, id)
  redis.call('ZADD', P .. ':jobs:s:' .. status, 0, id)
  redis.call('ZADD', P .. ':jobs:p:' .. run.process, 0, id)
  if owner ~= '' then redis.call('ZADD', P .. ':jobs:o:' .. owner, 0, id) end
end

local function follow(run)
  write_follower(run, run.status)
  redis.call('ZADD', shares.followers_key(run.id), shares.SCORES[run.status], id)
  if run.status == 'running' then redis.call('HSET', job_key(id), 'st', NOW) end
  local queue = given[9]
  if queue ~= '' and run.status == 'accepted' and run.queue ~= queue and redis.call('HSETNX', job_key(run.id), 'pq', 1) == 1 then
    redis.call('RPUSH', queue_key(queue), run.id) -- somebody waits for it now; its other turn passes
  end
end

local function answer_from(run, age)
  write_follower(run, 'accepted')
  redis.call('HSET', job_key(id), 'st', NOW, 'fc', age)
  finalise(job_of(id), 'successful', shares.told_of(run.id))
  local values = listed and {} or redis.call('HGETALL', P .. ':o:' .. run.id)
  return {'ok', NOW, 'stored', run.id, redis.call('HGETALL', job_key(id)), values}
end

local function accept_shared()
  local run, age = run_to_share()
  if age then return answer_from(run, age) end
  if given[8] == '1' then return {'none', NOW} end
  if run then
    if redis.call('ZCARD', shares.followers_key(run.id)) >= most_waiting then return {'full', NOW} end
    follow(run)
    redis.call('HSET', job_key(id), 'jo', 1)
    return {'ok', NOW, 'joined', run.id}
  end
  local refused = accept()
  if type(refused) == 'table' then return refused end
  redis.call('SET', shares.same_key(shared_as), ARGV[1])
  redis.call('ZADD', P .. ':shared', NOW + 10000, ARGV[1]) -- until nobody follows it any more: see recover.lua
  follow(job_of(ARGV[1]))
  return {'ok', NOW, 'run', ARGV[1]}
end

if redis.call('EXISTS', job_key(id)) == 1 then
  local run = redis.call('HGET', job_key(id), 'fr') or ''
  return {'ok', NOW, (run == '' or run == ARGV[1]) and 'run' or 'joined', run}
end
local age_of_run = age_of_id(ARGV[1])
if is_too_far(age_of_run, longest_ago) then return {'clock', NOW} end
local answer = known()
if answer then return answer end
answer = shared_as ~= '' and accept_shared() or accept()
if type(answer) == 'number' then answer = {'ok', answer} end
if key and answer[1] == 'ok' then redis.call('SET', key, id .. ' ' .. digest, 'PX', given[4]) end
return answer
