-- Progress, message and log lines of a running job into its record.
-- ARGV: id, claim, progress ('' for none), message ('' for none), most log lines, lines…
local id, claim = ARGV[1], ARGV[2]
allow_oom()
local state, is_watchable, calls = owned(id, claim)
if state ~= 'ok' then return {state} end
if ARGV[3] ~= '' then redis.call('HSET', job_key(id), 'pr', ARGV[3], 'up', STAMP) end
if ARGV[4] ~= '' then redis.call('HSET', job_key(id), 'm', ARGV[4], 'up', STAMP) end
local lines = {}
for i = 6, #ARGV do lines[#lines + 1] = ARGV[i] end
add_to_log(id, lines, tonumber(ARGV[5]))
if calls and (ARGV[3] ~= '' or ARGV[4] ~= '') then subscribers().tell(id, 'running') end
if is_watchable then tell_watchers(id) end
return {'ok'}
