-- KEYS: logs (streams). Returns `last` of the newest entry of each, or false. Read here so that payloads stay here.
local tails = {}
for number, log in ipairs(KEYS) do
  local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  tails[number] = false
  if newest then
    local fields = newest[2]
    for at = 1, #fields, 2 do
      if fields[at] == 'last' then tails[number] = fields[at + 1] end
    end
  end
end
return tails
