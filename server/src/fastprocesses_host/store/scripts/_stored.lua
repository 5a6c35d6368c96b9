-- What lies in the value store, and how much of it is whose. Made only where it is needed: most values are small.
local function stored() -- rare
  local self = {}

  -- How many bytes lie in the value store: in all, and of each caller.
  function self.count_bytes(caller, by)
    if by == 0 then return end
    for _, name in ipairs({'all', 'c:' .. (caller or '-')}) do
      if redis.call('HINCRBY', P .. ':bytes', name, string.format('%.0f', by)) <= 0 then
        redis.call('HDEL', P .. ':bytes', name)
      end
    end
  end

  -- Values of a job that lie elsewhere: lines of a location, a tab and a length; without one they are not counted.
  function self.each_location(locations)
    return string.gmatch(locations or '', '([^\t\n]+)\t?(%d*)')
  end

  function self.bytes_of(locations)
    local sum = 0
    for _, length in self.each_location(locations) do sum = sum + (tonumber(length) or 0) end
    return sum
  end

  -- Objects in the value store are deleted by whoever can reach it, from this list; they count no longer.
  function self.discard(caller, locations)
    if not locations then return end
    for location in self.each_location(locations) do redis.call('SADD', P .. ':garbage', location) end
    self.count_bytes(caller, -self.bytes_of(locations))
  end

  return self
end
