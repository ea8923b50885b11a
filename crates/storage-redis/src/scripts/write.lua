-- Writes one value if the one that is there allows it, in one step. Answers with the new revision, or nil.
--
-- KEYS[1]  the place
-- ARGV     1 verb: "put", "insert" or "replace"   2 now, in our milliseconds   3 the revision that "replace" expects
--          4 the first two bytes of the entry     5 the last byte of the revision
--          6 the rest of the entry                7 milliseconds until clean-up, or ""
--
-- The layout of an entry is described in entry.rs.
local last, live, revision = 0, false, ''
local head = redis.call('GETRANGE', KEYS[1], 0, 18)
if #head == 19 then
  revision = string.sub(head, 3, 10)
  last = struct.unpack('>I7', revision)
  live = string.byte(head, 11) == 0 or tonumber(ARGV[2]) < struct.unpack('>i8', head, 12)
end
if ARGV[1] == 'insert' and live then return false end
if ARGV[1] == 'replace' and not (live and revision == ARGV[3]) then return false end

-- The server's microseconds: later than those of every write before, even if what was here is gone.
local time = redis.call('TIME')
local moment = math.max(last + 1, tonumber(time[1]) * 1000000 + tonumber(time[2]))
revision = struct.pack('>I7', moment) .. ARGV[5]
local entry = ARGV[4] .. revision .. ARGV[6]
if ARGV[7] == '' then
  redis.call('SET', KEYS[1], entry)
else
  redis.call('SET', KEYS[1], entry, 'PX', ARGV[7])
end
return revision
