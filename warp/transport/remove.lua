-- KEYS[1] a partition's log (stream), KEYS[2] the schema's backlog (hash)
-- ARGV[1] the partition's field prefix, then id, changes, bytes of each entry to delete
-- Counts an entry out of the backlog only if it was still there, so that the sum stays true whoever deletes.
local gone = 0
for at = 2, #ARGV, 3 do
  if redis.call('XDEL', KEYS[1], ARGV[at]) == 1 then
    redis.call('HINCRBY', KEYS[2], ARGV[1] .. ':changes', -ARGV[at + 1])
    redis.call('HINCRBY', KEYS[2], ARGV[1] .. ':bytes', -ARGV[at + 2])
    gone = gone + 1
  end
end
if redis.call('XLEN', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[1])
  redis.call('HDEL', KEYS[2], ARGV[1] .. ':changes', ARGV[1] .. ':bytes')
end
return gone
