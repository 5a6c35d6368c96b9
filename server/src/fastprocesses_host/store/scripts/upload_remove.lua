-- An upload that is wanted no more; what it has of bytes is garbage.
-- ARGV: id, why, tombstone ms
allow_oom()
return {remove_upload(ARGV[1], ARGV[2], ARGV[3]) and 'ok' or 'gone', NOW}
