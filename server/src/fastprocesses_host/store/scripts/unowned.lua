-- Which of some values nobody has: no job that has not ended, none that names it, and no upload.
-- ARGV: owners and locations…
local function names(locations, wanted)
  for location in stored().each_location(locations) do
    if location == wanted then return true end
  end
  return false
end

local function is_owned(owner, location)
  local found = read(owner, 's', 'il', 'ol')
  if not found[1] then return redis.call('HEXISTS', upload_key(owner), 'cl') == 1 end
  -- The run may be storing its results, and has yet to tell of them.
  return found[1] == 'running' or names(found[2], location) or names(found[3], location)
end

local unowned = {}
for i = 1, #ARGV, 2 do
  if not is_owned(ARGV[i], ARGV[i + 1]) then unowned[#unowned + 1] = ARGV[i + 1] end
end
return unowned
