-- A job in no list whose caller has had all of it is of no more use, and its time is over; what may be asked for again
-- is not: by a key of its own, or by others that share its run.
-- ARGV: id
allow_oom()
local found = read(ARGV[1], 'li', 'fi', 'ik', 'sd')
if found[1] == '0' and found[2] and not found[3] and not found[4] then
  return redis.call('ZADD', P .. ':exp', 'XX', 'LT', 'CH', NOW, ARGV[1])
end
return 0
