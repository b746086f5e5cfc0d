"""Whole conversations between the core, the codec and a server with xAI's deviations."""

import json
from base64 import b64encode
from itertools import count

from voicechat.core import effects, events, inputs
from voicechat.core.conversation import Conversation
from voicechat.core.items import Item, ToolCall, ToolState
from voicechat.core.settings import ServerVad, SessionSettings, ToolSpec
from voicechat.providers.openai.openai_codec import OpenAICodec
from voicechat.providers.xai_dialect import XAI

SPEECH = b64encode(bytes(4_800)).decode()


class Grok:
    """xAI's side: answers a commit without a request, drops responses, never sends item.done."""

    def __init__(self, *, loses_first_reply: bool = False, truncates: bool = True) -> None:
        self.heard: list[str] = []
        """Types of all frames except audio."""
        self.blocks = 0
        self.tools: list[list[str]] = []
        """Calls that the next responses make."""
        self.running: str | None = None
        self.broken_off = 0
        self.billed = 0
        self._manual = True
        self._fresh = False
        self._loses = loses_first_reply
        self._truncates = truncates
        self._ids = count(1)

    def greeting(self) -> list[dict]:
        """Return the frames sent after a connection opens."""
        return [
            {"type": "session.created", "session": {"id": "s", "turn_detection": {"type": None}}},
            {"type": "conversation.created", "conversation": {"id": "c"}},
            {"type": "ping", "timestamp": 1},
        ]

    def receive(self, frame: str) -> list[dict]:
        """Return the answers to a frame."""
        message = json.loads(frame)
        kind = message["type"]
        if kind == "input_audio_buffer.append":
            return self._listen()
        self.heard.append(kind)
        match kind:
            case "session.update":
                self._manual = message["session"]["turn_detection"] is None
                return [{"type": "session.updated", "session": {"output_audio_format": "?"}}]
            case "input_audio_buffer.commit" if self._manual:
                item = {"item_id": f"u{next(self._ids)}"}
                said = {**item, "status": "completed", "transcript": "By hand."}
                return [
                    {"type": "input_audio_buffer.committed", **item},
                    {"type": f"{_HEARD}.completed", **said},
                    *self.reply("You spoke."),
                ]
            case "input_audio_buffer.clear":
                self._fresh = True
                return [{"type": "input_audio_buffer.cleared"}]
            case "conversation.item.create" if message["item"]["type"] == "force_message":
                return self.reply(message["item"]["content"][0]["text"])
            case "conversation.item.create":
                self._fresh = True
                item = {"id": str(next(self._ids)), "status": "completed", **message["item"]}
                return [{"type": "conversation.item.added", "item": item}]
            case "response.create":
                return self.reply("You asked.") if self._fresh else []
            case "response.cancel":
                late = "Cancellation failed: no active response found"
                return self.end("cancelled") if self.running else [_error(late)]
            case "conversation.item.truncate":
                return [self._truncate(message)]
        return []

    def _truncate(self, message: dict) -> dict:
        if not self._truncates:
            return _error(f"Unknown event type: {message['type']}")
        at = {name: message[name] for name in ("item_id", "content_index", "audio_end_ms")}
        return {"type": "conversation.item.truncated", **at}

    def _listen(self) -> list[dict]:
        self.blocks += 1
        if self._manual and self.running:
            self.broken_off += 1
            self.running = None
        return []

    def spoken(self, item_id: str, text: str) -> list[dict]:
        """Return a whole spoken turn, with turn detection on."""
        item = {"item_id": item_id}
        started = {"type": "input_audio_buffer.speech_started", **item, "audio_start_ms": 100}
        stopped = {"type": "input_audio_buffer.speech_stopped", **item, "audio_end_ms": 900}
        out = [started, {"type": f"{_HEARD}.updated", **item, "transcript": text[:3]},
               {"type": f"{_HEARD}.completed", **item, "transcript": text[:3],
                "status": "in_progress"}, stopped]  # fmt: skip
        if self._loses:
            self._loses = False
            self.running = None
            begun = {"type": "response.created", "response": {"id": f"r{next(self._ids)}"}}
            out += [begun, started, stopped]
        final = {"type": f"{_HEARD}.completed", **item, "transcript": text, "status": "completed"}
        committed = {"type": "input_audio_buffer.committed", **item}
        return [*out, committed, final, *self.reply(f"You said {text}")]

    def reply(self, text: str) -> list[dict]:
        """Return a response up to its end; calls have a preamble."""
        self.running, self._fresh = f"r{next(self._ids)}", False
        item = {"id": f"a{next(self._ids)}", "type": "message", "role": "assistant"}
        at = {"response_id": self.running, "item_id": item["id"]}
        calls = self.tools.pop(0) if self.tools else []
        out = [
            {"type": "response.created", "response": {"id": self.running, "usage": {}}},
            {"type": "response.output_item.added", "response_id": self.running, "item": item},
            {"type": "conversation.item.added", "item": {**item, "status": "in_progress"}},
            {"type": "response.output_audio.delta", **at, "delta": SPEECH},
            {"type": "response.output_audio_transcript.delta", **at, "delta": text},
            {"type": "response.output_audio_transcript.done", **at, "transcript": text},
            {"type": "response.content_part.done", **at},
            {"type": "response.output_audio.done", **at},
            {"type": "response.output_item.done", "response_id": self.running, "item": item},
        ]
        for name in calls:
            call_id = f"call-{next(self._ids)}-0"
            call = {"id": f"f{call_id}", "type": "function_call", "role": "user", "name": name,
                    "call_id": call_id, "arguments": "{}"}  # fmt: skip
            done = {"response_id": self.running, "item_id": call["id"], "call_id": call_id}
            out += [
                {"type": "response.output_item.added", **done, "item": {**call, "arguments": ""}},
                {"type": "response.function_call_arguments.delta", **done, "delta": "{}"},
                {"type": "response.function_call_arguments.done", **done, "name": name,
                 "arguments": "{}"},
                {"type": "response.output_item.done", **done, "item": call},
            ]  # fmt: skip
        return out + self.end("completed")

    def end(self, status: str) -> list[dict]:
        """Return the end of the running response; its seconds are a running total."""
        self.billed += 2
        response = {"id": self.running, "status": status, "status_details": "unimplemented"}
        self.running = None
        usage = {"total_tokens": 10, "billable_audio_seconds": self.billed}
        return [{"type": "response.done", "response": {**response, "usage": {}}, "usage": usage}]


def _error(message: str) -> dict:
    return {"type": "error", "error": {"type": "invalid_request_error", "message": message}}


_HEARD = "conversation.item.input_audio_transcription"


TOOLS = tuple(ToolSpec(name, "", {}) for name in ("weather", "left", "right"))


class Talk:
    """A conversation with Grok; audio plays at once, tools answer at once."""

    def __init__(self, grok: Grok, *, hands_free: bool = True) -> None:
        self.grok, self.ran, self.now = grok, [], 0.0
        settings = SessionSettings(turn_detection=ServerVad(), tools=TOOLS)
        self.notices: list[str] = []
        self.core = Conversation(settings, XAI.capabilities, hands_free=hands_free)
        self.codec = OpenAICodec("wss://example.invalid", dialect=XAI)
        self.arrive(grok.greeting())

    def arrive(self, said: list[dict]) -> None:
        """Receive frames of the server."""
        for message in said:
            for event in self.codec.decode(json.dumps(message)):
                self.take(event)

    def take(self, *received: events.Event | inputs.Input) -> None:
        """Handle an input and everything that follows from it."""
        for event in received:
            self.now += 0.02
            for effect in self.core.handle(event, self.now):
                self._carry_out(effect)

    def _carry_out(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Send(command):
                for frame in self.codec.encode(command):
                    self.arrive(self.grok.receive(frame))
            case effects.Notice(text):
                self.notices.append(text)
            case effects.StopPlayback():
                heard = {entry.item_id: 60.0 for entry in self.core.transcript.entries}
                self.take(inputs.PlaybackStopped(heard))
            case effects.EndItem(item_id):
                self.take(inputs.PlaybackStarted(item_id), inputs.PlaybackFinished(item_id))
            case effects.RunTool():
                self.ran.append(effect.name)
                self.take(inputs.ToolFinished(effect.call_id, "4 degrees", False))

    @property
    def lines(self) -> list[str]:
        """Return the transcript."""
        return [
            f"{entry.role.value}: {entry.shown}" if isinstance(entry, Item) else entry.name
            for entry in self.core.transcript.entries
        ]


def test_typed_spoken_and_tools():
    grok = Grok()
    talk = Talk(grok)
    talk.take(inputs.Typed("Hello"))
    grok.tools = [["weather"], ["left", "right"]]
    talk.arrive(grok.spoken("u", "how warm is it"))
    assert talk.lines == [
        "user: Hello", "assistant: You asked.", "user: how warm is it",
        "assistant: You said how warm is it", "weather",
        "assistant: You asked.", "left", "right", "assistant: You asked.",
    ]  # fmt: skip
    assert talk.ran == ["weather", "left", "right"]
    assert grok.heard.count("response.create") == 3
    calls = [e for e in talk.core.transcript.entries if isinstance(e, ToolCall)]
    assert {call.state for call in calls} == {ToolState.DONE}
    assert talk.core.meter.total.seconds == grok.billed == 8
    assert talk.core.floor is effects.Floor.LISTENING


def test_a_manual_turn_is_answered_once():
    grok = Grok()
    talk = Talk(grok, hands_free=False)
    block = inputs.MicBlock(bytes(960))
    talk.take(inputs.Talk(True), *[block] * 20, inputs.Talk(False))
    assert talk.lines == ["user: By hand.", "assistant: You spoke."]
    assert "response.create" not in grok.heard
    assert (grok.blocks, grok.broken_off) == (20, 0)
    talk.take(inputs.Typed("And now?"))
    assert talk.lines[2:] == ["user: And now?", "assistant: You asked."]


def test_a_tool_after_a_manual_turn():
    grok = Grok()
    grok.tools = [["weather"]]
    talk = Talk(grok, hands_free=False)
    talk.take(inputs.Talk(True), *[inputs.MicBlock(bytes(960))] * 20, inputs.Talk(False))
    assert talk.lines[1:] == ["assistant: You spoke.", "weather", "assistant: You asked."]


def test_a_lost_response_does_not_hang():
    grok = Grok(loses_first_reply=True)
    talk = Talk(grok)
    talk.arrive(grok.spoken("u", "and one more thing"))
    assert talk.lines == ["user: and one more thing", "assistant: You said and one more thing"]
    assert talk.core.floor is effects.Floor.LISTENING


def test_pressing_the_key_during_a_response_never_aborts_it():
    grok = Grok()
    talk = Talk(grok, hands_free=False)
    begun = grok.reply("A long story")[:5]
    talk.arrive(begun)
    grok.running = begun[0]["response"]["id"]
    talk.take(inputs.Talk(True), *[inputs.MicBlock(bytes(960))] * 20, inputs.Talk(False))
    assert grok.broken_off == 0
    assert grok.heard.count("response.cancel") == 1
    assert (grok.blocks, talk.lines[-1]) == (20, "assistant: You spoke.")


def barge_in(talk: Talk, turn: str) -> None:
    """Speak during a response."""
    begun = talk.grok.reply("A long story")[:5]
    talk.arrive(begun)
    talk.grok.running = begun[0]["response"]["id"]
    talk.take(inputs.PlaybackStarted(begun[1]["item"]["id"]))
    talk.arrive([{"type": "input_audio_buffer.speech_started", "item_id": turn}])


def test_an_interruption_cancels_and_truncates():
    talk = Talk(Grok())
    barge_in(talk, "u")
    assert talk.grok.heard[1:] == ["response.cancel", "conversation.item.truncate"]
    talk.arrive(talk.grok.spoken("u", "stop"))
    assert talk.lines[-2:] == ["user: stop", "assistant: You said stop"]
    assert talk.notices == []


def test_a_server_that_does_not_truncate_is_asked_once():
    talk = Talk(Grok(truncates=False))
    barge_in(talk, "u")
    barge_in(talk, "v")
    assert talk.grok.heard.count("conversation.item.truncate") == 1
    talk.arrive(talk.grok.spoken("v", "stop"))
    assert talk.lines[-1] == "assistant: You said stop"
    assert talk.notices == []


def test_a_cancel_that_comes_too_late_is_ignored():
    talk = Talk(Grok())
    begun = talk.grok.reply("A long story")[:5]
    talk.arrive(begun)
    talk.grok.running = None
    talk.arrive(talk.grok.spoken("u", "stop"))
    assert "response.cancel" in talk.grok.heard
    assert talk.lines[-1] == "assistant: You said stop"
    assert talk.notices == []


def test_a_given_text_is_spoken_instead_of_an_answer():
    talk = Talk(Grok())
    talk.take(inputs.SayVerbatim("This call is recorded."))
    assert talk.lines == ["assistant: This call is recorded."]
    assert "response.create" not in talk.grok.heard
    begun = talk.grok.reply("A long story")[:5]
    talk.arrive(begun)
    talk.grok.running = begun[0]["response"]["id"]
    talk.take(inputs.SayVerbatim("Goodbye."))
    assert talk.grok.heard[-3:] == [
        "response.cancel", "conversation.item.truncate", "conversation.item.create",
    ]  # fmt: skip
    assert talk.lines[-1] == "assistant: Goodbye."
    talk.take(inputs.Typed("Hello"))
    assert talk.lines[-1] == "assistant: You asked."
    assert talk.grok.heard[-1] == "response.create"
