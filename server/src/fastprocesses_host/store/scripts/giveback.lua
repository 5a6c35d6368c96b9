-- Messages that a stopping worker had fetched and not begun go back to the front of their queue.
-- ARGV: worker, queue, ids…
allow_oom()
local worker, queue, given = ARGV[1], ARGV[2], 0
for i = #ARGV, 3, -1 do
  given = given + give_back(worker, queue, ARGV[i])
end
return given
