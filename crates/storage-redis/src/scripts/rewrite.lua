-- Exchanges the bytes of one write. Its revision, format and expiry stay. Answers 1, or 0 if another write is there.
--
-- KEYS[1]  the place        ARGV  1 the revision of the write   2 its new bytes
local head = redis.call('GETRANGE', KEYS[1], 0, 18)
if #head ~= 19 or string.sub(head, 3, 10) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], head .. ARGV[2], 'KEEPTTL')
return 1
