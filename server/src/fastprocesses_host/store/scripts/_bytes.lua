-- What lies in the value store, and how much of it is whose.

-- How many bytes lie in the value store: in all, and of each caller.
local function count_bytes(caller, by)
  if by == 0 then return end
  for _, name in ipairs({'all', 'c:' .. (caller or '-')}) do
    if redis.call('HINCRBY', P .. ':bytes', name, string.format('%.0f', by)) <= 0 then
      redis.call('HDEL', P .. ':bytes', name)
    end
  end
end

-- Values of a job that lie elsewhere: lines of a location, a tab and a length; without one they are not counted.
local function each_location(locations)
  return string.gmatch(locations or '', '([^\t\n]+)\t?(%d*)')
end

local function bytes_of(locations)
  local bytes = 0
  for _, length in each_location(locations) do bytes = bytes + (tonumber(length) or 0) end
  return bytes
end

-- Objects in the value store are deleted by whoever can reach it, from this list; they count no longer.
local function discard(caller, locations)
  if not locations then return end
  for location in each_location(locations) do redis.call('SADD', P .. ':garbage', location) end
  count_bytes(caller, -bytes_of(locations))
end
