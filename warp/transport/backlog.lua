-- KEYS[1] a schema's backlog (hash). ARGV[1] what the names of its logs begin with.
-- Returns field, value, … of the logs that exist. Counters of a log that is gone count nothing: they go with it.
local counters = redis.call('HGETALL', KEYS[1])
local found = {}
for at = 1, #counters, 2 do
  local place = string.match(counters[at], '^(.*):[a-z]+$')
  if redis.call('EXISTS', ARGV[1] .. place) == 1 then
    table.insert(found, counters[at])
    table.insert(found, counters[at + 1])
  else
    redis.call('HDEL', KEYS[1], counters[at])
  end
end
return found
