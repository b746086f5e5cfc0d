"""Phone calls: the webhook that announces one, the rules that answer it, and its session.

The sound of a call is between the phone and the provider. Here is the control of it: a session on a
control socket of the call runs its tools and has its transcripts.
"""
