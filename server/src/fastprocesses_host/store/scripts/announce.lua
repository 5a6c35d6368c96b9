-- What a worker offers, by the digest of its text; hosts are told.
-- ARGV: offer (environment and digest), text
allow_oom()
redis.call('SET', P .. ':offer:' .. ARGV[1], ARGV[2], 'EX', 86400)
redis.call('ZADD', P .. ':offers', NOW, ARGV[1])
redis.call('PUBLISH', P .. ':catalog', ARGV[1])
return NOW
