-- Lines at the end of a log, of which the newest are kept; the record counts all that there ever were.
local function add_to_log(id, lines, most) -- rare
  if #lines == 0 or most == 0 then return end
  local key = P .. ':log:' .. id
  local count = math.max(redis.call('LLEN', key), tonumber(redis.call('HGET', job_key(id), 'lg') or 0))
  for first = 1, #lines, 1000 do
    redis.call('RPUSH', key, unpack(lines, first, math.min(first + 999, #lines)))
  end
  redis.call('LTRIM', key, -most, -1)
  redis.call('HSET', job_key(id), 'lg', count + #lines)
end

-- Values of a run that do not lie in its job's record, and lines of its log, from a position of the arguments on.
local function keep_lines_and_values(job, claim, position) -- rare
  local is_staged, staged, values = ARGV[position] == '1', P .. ':o:' .. job.id .. ':' .. claim, P .. ':o:' .. job.id
  local lines, first_value = list_at(position + 2)
  if is_staged and redis.call('EXISTS', staged) == 1 then
    redis.call('RENAME', staged, values)
    redis.call('PERSIST', values)
  end
  job.has_values = is_staged or first_value <= #ARGV
  for first = first_value, #ARGV, 1000 do
    redis.call('HSET', values, unpack(ARGV, first, math.min(first + 999, #ARGV)))
  end
  add_to_log(job.id, lines, tonumber(ARGV[position + 1]))
  job.has_log = job.has_log or #lines > 0
end
