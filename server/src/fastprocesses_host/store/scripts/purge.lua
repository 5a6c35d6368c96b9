-- Jobs of an operator's choice are removed, oldest first: those that have ended and, where that is wanted, the others too.
-- ARGV: id behind which to go on ('' for the beginning), most looked at, latest end, process ('' for any),
--       dry (1: they are only counted), dismiss (1: those under way too), statuses…
local after, most, latest, process = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local is_dry, may_dismiss = ARGV[5] == '1', ARGV[6] == '1'
local statuses = {unpack(ARGV, 7)}
if not is_dry then allow_oom() end

local function is_one_of_them(status)
  for _, wanted in ipairs(statuses) do
    if wanted == status then return true end
  end
  return #statuses == 0
end

local function index()
  if process ~= '' then return P .. ':jobs:p:' .. process end
  if #statuses == 1 then return P .. ':jobs:s:' .. statuses[1] end
  return P .. ':jobs'
end

local function dismiss(job)
  if job.status == 'accepted' then return finalise(job, 'dismissed', {}) end
  finalise(job, 'dismissed', {'stp', '1'})
  redis.call('PUBLISH', P .. ':stop', job.id)
end

local IS_FINAL = {successful = true, failed = true, dismissed = true}
local chosen, under_way, last = 0, 0, ''
local ids = redis.call('ZRANGE', index(), after == '' and '-' or '(' .. after, '+', 'BYLEX', 'LIMIT', 0, most)
for _, id in ipairs(ids) do
  local job, found = job_of(id), read(id, 'fi')
  last = id
  if job and is_one_of_them(job.status) and (process == '' or job.process == process) then
    local ended = tonumber(found[1])
    if not IS_FINAL[job.status] and not may_dismiss then
      under_way = under_way + 1
    elseif not ended or ended <= latest then
      chosen = chosen + 1
      if not is_dry then
        if not IS_FINAL[job.status] then dismiss(job) end
        remove(id)
      end
    end
  end
end
return {chosen, under_way, #ids < most and '' or last}
