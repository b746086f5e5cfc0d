"""`voicechat setup-endpoint`: short-lived tokens, and tools, for web pages and other clients.

A page asks for a token, connects to the provider with it, and calls tools here, one address each.
The keys stay here.
"""
