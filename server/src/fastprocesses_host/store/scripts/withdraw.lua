-- A run is offered to later requests no more, and its values neither; whether it was. Those that follow it go on.
-- ARGV: id
allow_oom()
local shared_as = redis.call('HGET', job_key(ARGV[1]), 'sd')
if not shared_as or redis.call('GET', same_key(shared_as)) ~= ARGV[1] then return {0} end
return {redis.call('DEL', same_key(shared_as))}
