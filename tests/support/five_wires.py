"""The fake server of every wire, with a model's name and the key's variable."""

from __future__ import annotations

from fake_openai import azure, grok, openai
from fake_wires import gateway, gemini

WIRES = {
    "openai": (openai, "openai/gpt-realtime-2.1", "OPENAI_API_KEY"),
    "azure": (azure, "azure/my-deployment", "AZURE_OPENAI_API_KEY"),
    "xai": (grok, "xai/grok-voice-latest", "XAI_API_KEY"),
    "google": (gemini, "google/gemini-3.8-live", "GEMINI_API_KEY"),
    "gateway": (gateway, "gateway/openai/gpt-realtime-2.1", "AI_GATEWAY_API_KEY"),
}
