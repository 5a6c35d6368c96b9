-- Room in the value store for what somebody is about to write there: held for a while, until it is given back.
-- ARGV: holder, caller ('' for that of the job), job ('' for none), more bytes, milliseconds it is held from now on,
--       most bytes of the job, of its caller, in all (0: any number)
local holder, caller, id, more = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local key = P .. ':room:' .. holder
local used = tonumber(redis.call('HGET', key, 'bytes') or 0)
if id ~= '' then
  local found = read(id, 'il', 'ol', 'cl')
  -- A job that was dismissed meanwhile has no caller any more; what is held is given back to one.
  caller = caller ~= '' and caller or redis.call('HGET', key, 'caller') or found[3] or '-'
  used = used + stored().bytes_of(found[1]) + stored().bytes_of(found[2])
end

local function would_pass(limit, bytes) return limit > 0 and bytes + more > limit end

local function counted(name) return tonumber(redis.call('HGET', P .. ':bytes', name) or 0) end

if would_pass(tonumber(ARGV[6]), used) then return 'job' end
if would_pass(tonumber(ARGV[7]), counted('c:' .. caller)) then return 'caller' end
if would_pass(tonumber(ARGV[8]), counted('all')) then return 'all' end
if id ~= '' then allow_oom() end -- the run has to come to its end, which frees more
redis.call('HINCRBY', key, 'bytes', ARGV[4])
redis.call('HSET', key, 'caller', caller)
redis.call('ZADD', P .. ':rooms', NOW + tonumber(ARGV[5]), holder)
stored().count_bytes(caller, more)
return 'ok'
