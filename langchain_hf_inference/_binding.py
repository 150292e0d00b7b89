"""HFBinding: a bound model that takes the constructor's arguments out of what is bound to it later.

LangChain's own `RunnableBinding.bind` keeps all that it is given, and shows it: `llm.bind_tools(…).bind(extra_headers={…})`
would have the headers in its repr and its dumps.
"""

from __future__ import annotations

from typing import Any

from langchain_core.runnables import RunnableBinding


class HFBinding(RunnableBinding[Any, Any]):  # type: ignore[no-redef]
    """A RunnableBinding whose `bind` goes by way of the model's. Serialized as LangChain's own.

    langchain-core's own subclass for chat models differs from RunnableBinding for type checkers only.
    """

    def bind(self, **kwargs: Any) -> RunnableBinding[Any, Any]:
        """Bind further arguments; those of the constructor make a copy of the model, or are refused by name."""
        model, rest = self.bound._for_call(kwargs) if hasattr(self.bound, "_for_call") else (self.bound, kwargs)
        return self.__class__(
            bound=model,
            kwargs={**self.kwargs, **rest},
            config=self.config,
            config_factories=self.config_factories,
            custom_input_type=self.custom_input_type,
            custom_output_type=self.custom_output_type,
        )

    @classmethod
    def lc_id(cls) -> list[str]:
        """Return the path by which LangChain loads it: that of RunnableBinding."""
        return RunnableBinding.lc_id()
