"""`voicechat doctor` and `voicechat devices`: what there is, what is wrong, what to do about it.

environment   a snapshot of files, variables and the terminal, as plain values
machine       snapshot -> findings; no look at the world, so that every machine can be tested
sound         what the survey of the sound found -> findings
reach         sockets to the providers, with deadlines -> findings
checkup       runs everything at once and within the time
findings      a finding, and how a list of them reads
listing       the devices as a list
"""
