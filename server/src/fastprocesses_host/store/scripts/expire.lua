-- Jobs past their time are removed, a bounded number a call.
-- ARGV: most
allow_oom()
local ids = redis.call('ZRANGEBYSCORE', P .. ':exp', '-inf', NOW, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(ids) do remove(id) end
return #ids
