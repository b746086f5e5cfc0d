"""`voicechat doctor` and `voicechat devices`: what there is, what is wrong, what to do about it.

environment   a snapshot of files, variables and the terminal, as plain values
packages      the commands that install what is missing
machine       snapshot -> findings; no look at the world, so that every machine can be tested
sound         what the survey of the sound found -> findings
reach         sockets to the providers, with deadlines -> findings
aside         calls that may block for ever, with deadlines
checkup       runs everything at once and within the time
findings      a finding, and how a list of them reads
listing       the devices as a list
"""
