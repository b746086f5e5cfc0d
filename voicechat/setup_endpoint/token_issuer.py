"""Issues tokens: the budget allows it, the provider mints, the budget counts.

What the session of a token will cost is not known here. A token counts as some minutes of a
conversation, at the price of a minute in the table `[budget]`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING

from voicechat.config.budget_settings import BudgetSettings
from voicechat.core.items import Usage
from voicechat.core.settings import SessionSettings, ToolSpec
from voicechat.errors import BudgetSpent, UsageError, VoicechatError
from voicechat.server.asgi.refusals import Refusal, busy
from voicechat.session.budget_watch import BudgetWatch, Ledger
from voicechat.session.costs import TOKEN, CostTally
from voicechat.session.session_config import with_defaults
from voicechat.session.token_mint import MintedToken, TokensLimited, check_mint, mint
from voicechat.setup_endpoint.endpoint_options import EndpointOptions

if TYPE_CHECKING:
    from voicechat.config.options import Options

ISSUE_S = 15.0
"""Seconds for a token, with the wait for others."""

_AT_ONCE = 8
"""Tokens that are requested at a time without a budget; with one, each waits for the last."""
_MAX_WAITING = 64


class TokenIssuer:
    """Issues the tokens of one model."""

    def __init__(
        self,
        settings: Options,
        options: EndpointOptions,
        warn: Callable[[str], None],
        open_ledger: Callable[[], Ledger] | None = None,
    ) -> None:
        """settings: of the user, with the model and the keys. warn: receives sentences for the log.

        Raises `UsageError` and `KeyMissing` if no token can be requested.
        """
        self.model = check_mint(settings, options.seconds)
        """PROVIDER/MODEL."""
        self._settings = settings
        self._options = options
        self._warn = warn
        self._costs = CostTally(settings.prices)
        limits = settings.spending or BudgetSettings()
        self._budget = BudgetWatch(
            limits, self._costs, lambda notice: warn(notice.text), open_ledger
        )
        self._turns = asyncio.Semaphore(1 if self._budget.has_limits else _AT_ONCE)
        self._waiting = 0

    async def issue(
        self, asked: SessionSettings, tools: tuple[ToolSpec, ...]
    ) -> tuple[MintedToken, SessionSettings]:
        """Return a token, and the settings of its session with these tools. Raises `Refusal`."""
        session = with_defaults(asked, tools, self._settings.instructions, self._settings.voice)
        if self._waiting >= _MAX_WAITING:
            raise busy("Too many tokens are being requested.")
        self._waiting += 1
        try:
            async with asyncio.timeout(ISSUE_S), self._turns:
                token = await self._mint(session)
        except TimeoutError:
            raise busy("The token took too long.") from None
        finally:
            self._waiting -= 1
        if self._options.socket_url:
            token = replace(token, url=self._options.socket_url)
        return token, session

    async def _mint(self, session: SessionSettings) -> MintedToken:
        try:
            await self._budget.require()
            token = await mint(self._settings, self._options.seconds, session)
        except BudgetSpent:
            message = "The budget for tokens is used up."
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, "budget_spent", message) from None
        except TokensLimited as error:
            self._warn(str(error))
            message = "The provider limits the rate of tokens. Try again later."
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS, "provider_rate_limit", message, retry_after=10
            ) from None
        except UsageError as error:
            self._warn(str(error))
            raise Refusal(HTTPStatus.BAD_REQUEST, "invalid_session", error.message) from None
        except VoicechatError as error:
            # The reason may concern the key or the network of this server: it is for its log only.
            self._warn(str(error))
            message = "The provider issued no token."
            raise Refusal(HTTPStatus.BAD_GATEWAY, "no_token", message, retry_after=5) from None
        self._count()
        return token

    def _count(self) -> None:
        usage = Usage(seconds=self._options.token_minutes * 60)
        self._costs.add(self.model, TOKEN, usage)
        self._budget.add(self.model, TOKEN, usage)
        self._budget.settle()

    async def close(self) -> None:
        """Write the last rows of the usage."""
        await self._budget.close()
