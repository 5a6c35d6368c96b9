-- ARGV: claim, again (1: the answer to the same was lost), slot (MessagePack: lease, queues…)
return take(ARGV[1], ARGV[2] == '1', false, cmsgpack.unpack(ARGV[3]))
