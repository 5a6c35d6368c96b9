-- Record and small output values of a job, for the caller who waited; an unlisted one is removed when it is final,
-- unless a value lies elsewhere and is still to be read.
-- ARGV: id
local id = ARGV[1]
local record = redis.call('HGETALL', job_key(id))
if #record == 0 then return {'gone'} end
local found = read(id, 's', 'li', 'ol')
local values = redis.call('HGETALL', P .. ':o:' .. id)
local is_final = found[1] == 'successful' or found[1] == 'failed' or found[1] == 'dismissed'
if is_final and found[2] == '0' and not found[3] and not redis.call('ZSCORE', P .. ':lease', id) then remove(id) end
return {'ok', record, values}
