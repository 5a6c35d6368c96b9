-- Up to n messages of one queue; they are the worker's until it claims their jobs or gives them back.
-- ARGV: worker, queue, n
local worker, queue = ARGV[1], ARGV[2]
allow_oom()
redis.call('ZADD', P .. ':workers', NOW, worker)
local messages = {}
for _ = 1, tonumber(ARGV[3]) do
  local id = redis.call('LPOP', queue_key(queue))
  if not id then break end
  local message = redis.call('HGET', queue_key(queue) .. '.msgs', id)
  if message then -- else its job was claimed by a worker that had been given up
    redis.call('SADD', acks_key(worker, queue), id)
    messages[#messages + 1] = message
  end
end
return messages
