-- ARGV: holder
allow_oom()
give_room_back(ARGV[1])
return 1
