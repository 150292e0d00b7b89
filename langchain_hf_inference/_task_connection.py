"""TaskConnection: HFConnection for tasks other than chat, each with its own routes and forms of requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from langchain_hf_inference import _transport
from langchain_hf_inference._connection import HFConnection
from langchain_hf_inference._protocol.credentials import Credentials
from langchain_hf_inference._protocol.detection import ServerFacts
from langchain_hf_inference._protocol.providers import ProviderModel
from langchain_hf_inference._protocol.routing import Route
from langchain_hf_inference._protocol.task_routes import Task, endpoint_route, named_provider, provider_route
from langchain_hf_inference.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class TaskRoute:
    """Where a task's requests go, in which form, with whose token; and what the server said of its limits."""

    route: Route
    form: str
    credentials: Credentials
    max_batch: int | None


class TaskConnection(HFConnection):
    """Where a model of another task than chat is served."""

    def _task_route(self, task: Task, *, form: str | None = None) -> TaskRoute:
        """Give the route of a task other than chat; the server, or the Hub, is asked where it matters."""
        credentials, transport = self._credentials(), self._transport()
        facts = ServerFacts()
        mapping: dict[str, ProviderModel] = {}
        if self.endpoint_url and form != "pipeline" and (self.engine is None or self.model is None):
            facts = _transport.lookups.server_facts(transport, self.endpoint_url, credentials)
        elif not self.endpoint_url and self.model:
            mapping = _transport.lookups.provider_models(transport, named_provider(self.model, self.provider)[0])
        return self._joined_route(task, form, credentials, facts, mapping)

    async def _atask_route(self, task: Task, *, form: str | None = None) -> TaskRoute:
        """Like `_task_route`."""
        credentials, transport = await self._acredentials(), self._transport()
        facts = ServerFacts()
        mapping: dict[str, ProviderModel] = {}
        if self.endpoint_url and form != "pipeline" and (self.engine is None or self.model is None):
            facts = await _transport.lookups.aserver_facts(transport, self.endpoint_url, credentials)
        elif not self.endpoint_url and self.model:
            mapping = await _transport.lookups.aprovider_models(transport, named_provider(self.model, self.provider)[0])
        return self._joined_route(task, form, credentials, facts, mapping)

    def _joined_route(
        self,
        task: Task,
        form: str | None,
        credentials: Credentials,
        facts: ServerFacts,
        mapping: Mapping[str, ProviderModel],
    ) -> TaskRoute:
        self._check_key(credentials)
        if self.endpoint_url:
            model, engine = self.model or facts.model, self.engine or facts.engine
            route, form = endpoint_route(task, self.endpoint_url, model=model, engine=engine, form=form)
        elif self.model:
            own_key = credentials.is_provider_key
            model, provider = named_provider(self.model, self.provider)
            route, form = provider_route(task, model, provider, own_key=own_key, mapping=mapping)
            self._check_token(route, credentials)
        else:
            raise ConfigurationError("model is not set; give a Hub id, or an endpoint_url")
        return TaskRoute(route, form, credentials, facts.max_batch)
