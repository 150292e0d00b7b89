"""n8n's Hugging Face sub-nodes -> LangChain objects: an export of a workflow, several, or a copied fragment.

What n8n 1.123 to 2.41 send was recorded from the running nodes. Ours sends the same, but for `REPAIRS`:
what Text Generation Inference would refuse. `as_chat=True` gives the chat model instead, with the penalties
under their true names.

An expression in a sub-node sees the first item alone, as in n8n. `={{ $json.a.b }}` is resolved from it,
`=text` is the text; there is no JavaScript here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from langchain_hf_inference._protocol.redaction import redacted_url
from langchain_hf_inference._protocol.routing import is_url
from langchain_hf_inference._protocol.wire import as_list, as_object, loads
from langchain_hf_inference.chat_models import ChatHFInference
from langchain_hf_inference.embeddings import HFInferenceEmbeddings
from langchain_hf_inference.errors import ConfigurationError
from langchain_hf_inference.llms import HFInferenceLLM
from langchain_hf_inference.nodes.fields import number, references, whole

PACKAGE = "@n8n/n8n-nodes-langchain."
MODEL_TYPE = PACKAGE + "lmOpenHuggingFaceInference"
EMBEDDINGS_TYPE = PACKAGE + "embeddingsHuggingFaceInference"
CREDENTIAL = "huggingFaceApi"
DEFAULT_MODEL = "mistralai/Mistral-Nemo-Base-2407"
DEFAULT_EMBEDDINGS = "sentence-transformers/distilbert-base-nli-mean-tokens"
"""What the nodes take where the workflow names no model."""

REPAIRS: Mapping[str, str] = {
    "numbers": 'numbers that n8n sends as text ("64") are sent as numbers: TGI refuses text',
    "frequencyPenalty": "n8n sends it as repetition_penalty, and so do we; 0 and below, which TGI refuses, is left out",
    "topP": "1 asks for nothing, and TGI refuses it: left out",
    "topK": "0 and below ask for nothing, and TGI refuses them: left out",
    "temperature": "0 is refused by TGI: it is sent as do_sample=false, which is what it means",
    "line breaks": "n8n makes them into blanks before texts are embedded; ours go out as they are",
}
"""Where our requests differ from n8n's, and why."""

_OPTIONS = {"maxTokens": "max_tokens", "temperature": "temperature", "topK": "top_k", "topP": "top_p"}
_JSON_PATH = re.compile(r"\$json((?:\.[A-Za-z_]\w*|\[\d+\]|\[\"[^\"]+\"\]|\['[^']+'\])+)")
_STEP = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+)\]|\[\"([^\"]+)\"\]|\['([^']+)'\]")


@dataclass(frozen=True)
class SubNode:
    """One Hugging Face sub-node of a workflow."""

    name: str
    """The name that it has in the workflow."""
    kind: Literal["llm", "chat", "embeddings"]
    model: Any
    """`HFInferenceLLM`, `ChatHFInference` or `HFInferenceEmbeddings`."""
    targets: tuple[str, ...]
    """Names of the nodes that use it."""
    notes: tuple[str, ...]
    """What is done otherwise than in n8n, and what has no effect there."""


def from_n8n(
    workflow: Any,
    items: Sequence[Mapping[str, Any]] | None = None,
    credentials: Mapping[str, str] | None = None,
    as_chat: bool = False,
    **options: Any,
) -> list[SubNode]:
    """Read the Hugging Face sub-nodes of a workflow.

    Args:
        workflow: An export, a list of them, a fragment copied from the canvas (`{"nodes", "connections"}`), as data or as
            JSON text.
        items: What the root node would work on; expressions see the first. n8n's `{"json": …}` or plain objects.
        credentials: Tokens by the name or id of the workflow's credentials, which hold no secrets themselves. Without one the
            token is HF_TOKEN, and goes to Hugging Face's hosts only.
        as_chat: Give `ChatHFInference`, which drives agents, with penalties that are penalties.
        **options: Further arguments of the models, such as `max_retries`.

    Raises:
        ConfigurationError: A field cannot be read: it names node and field, of all that cannot. Or there is no Hugging
            Face sub-node of a type that exists.
    """
    if isinstance(workflow, str | bytes):
        try:
            workflow = loads(workflow)
        except ValueError as error:
            raise ConfigurationError(f"this is no workflow: not JSON ({error})") from error
    found: list[SubNode] = []
    problems: list[str] = []
    for one in workflow if isinstance(workflow, list) else [workflow]:
        if not isinstance(one, Mapping) or not isinstance(one.get("nodes"), list):
            raise ConfigurationError('this is no workflow of n8n: it has no list of "nodes"')
        for node in one["nodes"]:
            try:
                found += _Reader(one, node, _first(items), credentials or {}, as_chat=as_chat, options=options).read()
            except _ProblemsError as error:
                problems += error.problems
    if problems:
        raise ConfigurationError("; ".join(problems))
    return found


def _first(items: Sequence[Mapping[str, Any]] | None) -> Any:
    first = items[0] if items else None
    return first["json"] if isinstance(first, Mapping) and isinstance(first.get("json"), Mapping) else first


class _ProblemsError(Exception):
    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class _Reader:
    """Reads one node, collecting what is wrong with it."""

    def __init__(
        self, workflow: Mapping[str, Any], node: Any, item: Any, credentials: Mapping[str, str], *, as_chat: bool,
        options: dict[str, Any],
    ) -> None:  # fmt: skip
        self._workflow, self._item, self._credentials = workflow, item, credentials
        self._node: Mapping[str, Any] = node if isinstance(node, Mapping) else {}
        self._as_chat, self._options = as_chat, options
        self._name = str(self._node.get("name") or "a node without a name")
        self._problems: list[str] = []
        self._notes: list[str] = []

    def read(self) -> list[SubNode]:
        kind = str(self._node.get("type") or "")
        if kind not in (MODEL_TYPE, EMBEDDINGS_TYPE):
            self._check_type(kind)
            return []
        parameters = as_object(self._node.get("parameters"))
        values = {**as_object(parameters.get("options")), **{k: v for k, v in parameters.items() if k != "options"}}
        read = self._embeddings if kind == EMBEDDINGS_TYPE else self._chat if self._as_chat else self._text
        kind_read, model_class, arguments = read({key: self._value(key, value) for key, value in values.items()})
        if self._problems:
            raise _ProblemsError(self._problems)
        try:
            model = model_class(**{**arguments, **self._token(), **self._options})
        except ValueError as error:
            raise _ProblemsError([f"{self._name}: {error}"]) from error
        return [SubNode(self._name, kind_read, model, self._targets(), tuple(self._notes))]

    def _check_type(self, kind: str) -> None:
        """Name a type that looks like a Hugging Face sub-node and does not exist."""
        plain = kind.rpartition(".")[2]
        if "huggingface" not in plain.lower():
            return
        known = [MODEL_TYPE.rpartition(".")[2], EMBEDDINGS_TYPE.rpartition(".")[2]]
        close = difflib.get_close_matches(plain, known, n=1, cutoff=0.5)
        hint = f"; did you mean {PACKAGE}{close[0]}?" if close else ""
        raise _ProblemsError([f"{self._name}: n8n has no sub-node of type {kind}{hint}"])

    def _text(self, values: dict[str, Any]) -> tuple[Literal["llm"], type, dict[str, Any]]:
        arguments = self._settings(values)
        penalty = arguments.pop("frequency_penalty", None)
        if penalty is not None and penalty > 0:
            arguments["repetition_penalty"] = penalty
            self._notes.append("frequencyPenalty is sent as repetition_penalty, as n8n does")
        elif penalty is not None:
            self._notes.append(f"frequencyPenalty={penalty:g}: {REPAIRS['frequencyPenalty']}")
        if arguments.pop("presence_penalty", None) is not None:
            self._notes.append("presencePenalty has no effect in n8n: it is not sent")
        for option, name, idle in (("topP", "top_p", arguments.get("top_p", 0) >= 1),
                                   ("topK", "top_k", arguments.get("top_k", 1) <= 0)):  # fmt: skip
            if idle:
                self._notes.append(f"{option}={arguments.pop(name):g}: {REPAIRS[option]}")
        if arguments.get("temperature") == 0:
            self._notes.append(f"temperature=0: {REPAIRS['temperature']}")
        place = self._place(values, "model", DEFAULT_MODEL)
        if "endpoint_url" in place:
            place["api"] = "pipeline"  # n8n posts to the very URL
        return "llm", HFInferenceLLM, {**place, **arguments, "details": False}

    def _chat(self, values: dict[str, Any]) -> tuple[Literal["chat"], type, dict[str, Any]]:
        arguments = self._settings(values)
        for name, option in (("frequency_penalty", "frequencyPenalty"), ("presence_penalty", "presencePenalty")):
            if arguments.get(name) is not None:
                before = "was sent as repetition_penalty" if option == "frequencyPenalty" else "had no effect"
                self._notes.append(f"{option} is {name} here; in n8n it {before}")
        return "chat", ChatHFInference, {**self._place(values, "model", DEFAULT_MODEL), **arguments}

    def _embeddings(self, values: dict[str, Any]) -> tuple[Literal["embeddings"], type, dict[str, Any]]:
        place = self._place(values, "modelName", DEFAULT_EMBEDDINGS)
        provider = str(values.get("provider") or "").strip()
        if provider and "endpoint_url" in place:
            self._problems.append(
                f"{self._name}: provider and endpointUrl exclude each other; n8n refuses both as well"
            )
        elif provider:
            place["provider"] = provider
        if "endpoint_url" in place:
            place["api"] = "pipeline"
        return "embeddings", HFInferenceEmbeddings, {**place, "truncate": None}

    def _settings(self, values: dict[str, Any]) -> dict[str, Any]:
        names = {**_OPTIONS, "frequencyPenalty": "frequency_penalty", "presencePenalty": "presence_penalty"}
        found: dict[str, Any] = {}
        for option, name in names.items():
            value = values.get(option)
            try:
                read = whole(value) if option in ("maxTokens", "topK") else number(value)
            except ValueError as error:
                self._problems.append(f"{self._name}: {option}: {error}")
                continue
            if isinstance(value, str) and read is not None:
                self._notes.append(f"{option}={value!r}: {REPAIRS['numbers']}")
            if read is not None:
                found[name] = read
        return found

    def _place(self, values: dict[str, Any], field: str, default: str) -> dict[str, Any]:
        model, url = str(values.get(field) or "").strip() or default, str(values.get("endpointUrl") or "").strip()
        if is_url(model):
            self._problems.append(
                f"{self._name}: {field} is a URL ({redacted_url(model)[:80]}); a Hub id stands there, a URL in endpointUrl"
            )
        if url and not is_url(url):
            self._problems.append(f"{self._name}: endpointUrl={redacted_url(url)[:80]!r} is no http(s) URL")
        if url and self._as_chat:
            return {"endpoint_url": url, "model": model} if values.get(field) else {"endpoint_url": url}
        return {"endpoint_url": url} if url else {"model": model}

    def _token(self) -> dict[str, str]:
        """Give the token of the node's credential, by its name or id."""
        given = as_object(as_object(self._node.get("credentials")).get(CREDENTIAL))
        names = [str(given[key]) for key in ("name", "id") if given.get(key)]
        token = next((self._credentials[name] for name in (*names, CREDENTIAL) if name in self._credentials), None)
        if token is None and self._credentials:
            wanted = " or ".join(repr(name) for name in names) or repr(CREDENTIAL)
            raise _ProblemsError([f"{self._name}: there is no token for its credential {wanted} among those given"])
        return {} if token is None else {"api_key": token}

    def _targets(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_connected(self._workflow.get("connections"), self._name)))

    def _value(self, field: str, value: Any) -> Any:
        """Resolve an expression; what is none stays."""
        if not isinstance(value, str) or not value.startswith("="):
            return value
        pieces = list(references(value[1:]))
        found = [inner for _, inner in pieces if inner is not None]
        try:
            if len(found) == 1 and not "".join(plain for plain, _ in pieces).strip():
                return _of_json(found[0], self._item)
            return "".join(
                plain + ("" if inner is None else str(_of_json(inner, self._item))) for plain, inner in pieces
            )
        except ValueError as error:
            self._problems.append(f"{self._name}: {field}: {error}")
            return None


def _connected(connections: Any, name: str) -> Iterator[str]:
    for ends in as_object(as_object(connections).get(name)).values():
        for several in as_list(ends):
            for end in map(as_object, as_list(several)):
                if end.get("node"):
                    yield str(end["node"])


def _of_json(expression: str, item: Any) -> Any:
    path = _JSON_PATH.fullmatch(expression.strip())
    if path is None:
        raise ValueError(f"{{{{{expression}}}}} is not resolved: only {{{{ $json.a.b }}}} is, from the first item")
    if item is None:
        raise ValueError(f"{{{{{expression}}}}} is not resolved: no items were given")
    value = item
    for match in _STEP.finditer(path.group(1)):
        step = next(part for part in match.groups() if part is not None)
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            raise ValueError(f"{{{{{expression}}}}} leads nowhere: the first item has no {step!r} there")
    return value
