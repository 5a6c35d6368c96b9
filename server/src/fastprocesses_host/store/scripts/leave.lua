-- A worker signs off: everything it still held goes back, and it is no longer counted.
-- ARGV: worker, offer
allow_oom()
for _, queue in ipairs(redis.call('SMEMBERS', P .. ':queues')) do
  for _, id in ipairs(redis.call('SMEMBERS', acks_key(ARGV[1], queue))) do give_back(ARGV[1], queue, id) end
end
redis.call('ZREM', P .. ':workers', ARGV[1])
-- Others that offer the same say so again with their next tick.
redis.call('ZREM', P .. ':offers', ARGV[2])
return 1
