-- Messages that a stopping worker had fetched and not begun go back to the front of their queue.
-- ARGV: worker, queue, ids…
allow_oom()
local worker, queue, given = ARGV[1], ARGV[2], 0
for i = #ARGV, 3, -1 do
  if redis.call('SREM', acks_key(worker, queue), ARGV[i]) == 1
    and redis.call('HEXISTS', queue_key(queue) .. '.msgs', ARGV[i]) == 1 then
    redis.call('LPUSH', queue_key(queue), ARGV[i])
    given = given + 1
  end
end
return given
