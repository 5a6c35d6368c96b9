-- Jobs that follow a run learn of its end, or of its start, a bounded number a call; how many runs have more of them.
allow_oom()
return sharing().bring_others_along()
