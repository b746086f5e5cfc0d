"""Text to speech: a text, a file or a pipe to a speaker, a file or a pipe.

text ── plain, cut at sentences ── provider or embedded voice ── PCM ── speaker or file
"""
