"""`voicechat doctor` and `voicechat devices`: the state of the machine, its problems and remedies.

environment        a snapshot of files, variables and the terminal, as plain values
system_packages    the commands that install missing packages
machine_findings   snapshot -> findings, as a pure function that tests can run for every machine
sound_findings     probe of the sound devices -> findings
network_findings   sockets to the providers, with deadlines -> findings
checkup            runs everything concurrently and within the deadline
findings           one finding, and the text and JSON of a list of them
device_listing     the list of devices
"""
