"""A chat endpoint with the built-in assistant behind it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

from voicechat.errors import UsageError, VoicechatError
from voicechat.server.assistant.chat_assistant import ChatAssistant
from voicechat.server.engine_outage import EngineOutage, Notify
from voicechat.server.engine_protocols import Assistant, AssistantOutput, AssistantRequest


class FallbackAssistant:
    """An `Assistant` that asks `chat`, and `builtin` while the chat endpoint fails."""

    def __init__(self, chat: ChatAssistant, builtin: Assistant, notify: Notify) -> None:
        self.outage = EngineOutage(chat.open, notify)
        self._chat = chat
        chat.notify = notify
        self._builtin = builtin
        self._is_builtin_open = False

    @property
    def on_announcement(self) -> Callable[[str], None]:
        """Called on the event loop with words to say outside a reply."""
        return self._builtin.on_announcement

    @on_announcement.setter
    def on_announcement(self, announce: Callable[[str], None]) -> None:
        self._builtin.on_announcement = announce

    async def open(self) -> None:
        """Check the chat endpoint; warm up the built-in assistant when it fails.

        Raises `UsageError` if the endpoint does not have the model.
        """
        try:
            await self._chat.open()
        except UsageError:
            raise
        except VoicechatError as error:
            self.outage.failed(error)
            await self._open_builtin()

    async def _open_builtin(self) -> None:
        if not self._is_builtin_open:
            self._is_builtin_open = True
            await self._builtin.open()

    async def reply(self, request: AssistantRequest) -> AsyncGenerator[AssistantOutput, None]:
        """Yield the reply. Close the iterator to stop.

        Raises `VoicechatError` when the chat endpoint fails in the middle of a reply.
        """
        if self.outage.usable:
            has_begun = False
            try:
                async with aclosing(self._chat.reply(request)) as outputs:
                    async for output in outputs:
                        has_begun = True
                        yield output
            except VoicechatError as error:
                self.outage.failed(error)
                if has_begun:
                    raise
            else:
                self.outage.succeeded()
                return
        await self._open_builtin()
        async with aclosing(_closable(self._builtin.reply(request))) as outputs:
            async for output in outputs:
                yield output

    async def end_chance(self, text: str) -> float:
        """Return the chance that the spoken text is a whole request."""
        return await (self._chat if self.outage.usable else self._builtin).end_chance(text)

    async def close(self) -> None:
        """Close the connections and end all timers."""
        self.outage.close()
        await self._chat.close()
        await self._builtin.close()


def _closable(outputs: AsyncIterator[AssistantOutput]) -> AsyncGenerator[AssistantOutput, None]:
    assert isinstance(outputs, AsyncGenerator)
    return outputs
