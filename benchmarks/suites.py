"""What is measured, and what we want of it (the targets of the project, as ratios within one run)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

LANGCHAIN = ("floor", "ours", "ours, aiohttp", "ChatHuggingFace", "ChatOpenAI", "ChatGroq")
CLIENTS = ("httpx", "aiohttp", "huggingface_hub", "Haystack", "LiteLLM")
SUBJECTS = (*LANGCHAIN, *CLIENTS)
PEERS = ("ChatHuggingFace", "ChatOpenAI", "ChatGroq")


@dataclass(frozen=True)
class Suite:
    """One kind of work. `units` of it are done in each repetition, by the worker's method `act`."""

    title: str
    act: str
    n: int
    given: dict[str, Any] = field(default_factory=dict)
    only: tuple[str, ...] = SUBJECTS
    without: tuple[str, ...] = ()
    shows: str = "cpu_us"
    repetitions: int | None = None
    """Fewer than of the others, for what takes long and varies little."""

    def does(self, subject: str) -> bool:
        if subject in ("ours, aiohttp", "aiohttp") and not self.act.startswith(("acalls", "achunks", "many", "apaced")):
            return False
        return subject in self.only and subject not in self.without


SERVED = tuple(name for name in SUBJECTS if name != "floor")
OWN = ("ours", *PEERS)

SUITES: dict[str, Suite] = {
    "invoke": Suite("a call", "calls", 300, {"mode": "text-100-0"}),
    "ainvoke": Suite("a call, async", "acalls", 300, {"mode": "text-100-0"}),
    "stream": Suite("a chunk of 1,000", "chunks", 8, {"mode": "text-1000-0", "units": 1000}),
    "astream": Suite("a chunk of 1,000, async", "achunks", 8, {"mode": "text-1000-0", "units": 1000}),
    "stream_100": Suite("a chunk of 100", "chunks", 40, {"mode": "text-100-0", "units": 100}),
    "stream_10000": Suite("a chunk of 10,000", "chunks", 1, {"mode": "text-10000-0", "units": 10000}),
    "stream_tools": Suite("a tool delta of 500", "chunks", 6, {"mode": "tools-500-0", "units": 500}),
    "astream_tools": Suite("a tool delta of 500, async", "achunks", 6, {"mode": "tools-500-0", "units": 500}),
    "stream_think": Suite("a piece of reasoning of 1,000", "chunks", 6, {"mode": "think-1000-0", "units": 1000}),
    "astream_think": Suite("a piece of reasoning of 1,000, async", "achunks", 6, {"mode": "think-1000-0", "units": 1000}),
    "first": Suite("time to the first chunk, wall p50", "first_chunk", 100, {"mode": "text-100-0"}, shows="p50_us",
                   without=("Haystack",)),
    "paced": Suite("delay of a chunk, 5 ms a token, wall p50", "paced", 4, only=SERVED, without=("Haystack",), shows="p50_us"),
    "apaced": Suite("delay of a chunk, async, wall p50", "apaced", 4, only=SERVED, without=("Haystack",), shows="p50_us"),
    "history_10": Suite("a call with 10 messages", "history", 100, {"count": 10}),
    "history_100": Suite("a call with 100 messages", "history", 50, {"count": 100}),
    "history_1000": Suite("a call with 1,000 messages", "history", 12, {"count": 1000}),
    "tools_1": Suite("a call with 1 tool", "tools", 100, {"count": 1}, only=LANGCHAIN),
    "tools_10": Suite("a call with 10 tools", "tools", 80, {"count": 10}, only=LANGCHAIN),
    "tools_100": Suite("a call with 100 tools", "tools", 50, {"count": 100}, only=LANGCHAIN),
    "many_10": Suite("a request, 10 in flight", "many", 300, {"mode": "text-20-20", "at_once": 10}, only=SERVED),
    "many_100": Suite("a request, 100 in flight", "many", 1000, {"mode": "text-20-20", "at_once": 100}, only=SERVED),
    "many_500": Suite("a request, 500 in flight", "many", 1000, {"mode": "text-20-100", "at_once": 500}, only=SERVED,
                      repetitions=2),
    "many_1000": Suite("a request, 1,000 in flight", "many", 1000, {"mode": "text-20-200", "at_once": 1000}, only=SERVED,
                       repetitions=2),
    "llm_stream": Suite("a token of TGI's own stream of 1,000", "llm_chunks", 6, {"mode": "text-1000-0", "units": 1000},
                        only=("ours", "ChatHuggingFace", "huggingface_hub")),
    "embed": Suite("a text of 10,000 to embed", "embed", 10000, only=("ours", "ChatHuggingFace", "ChatOpenAI"), repetitions=3),
    "embed_tei": Suite("a short text of 1,000, by TEI in batches of 32", "embed_tei", 1000, only=("ours", "ChatHuggingFace", "httpx")),
    "batch": Suite("a line of a batch, 64 in flight", "batch", 1000, only=OWN, repetitions=3),
    "construct": Suite("a model made", "construct", 100, without=("floor", "httpx", "aiohttp", "ours, aiohttp",
                       "Haystack", "LiteLLM")),
    "large_answers": Suite("memory after 200 answers of 1 MB, MB more", "memory", 200, {"mode": "big-1000000-0", "warm": 20},
                           only=OWN, shows="grown_mb", repetitions=1),
    "many_answers": Suite("memory after 10,000 calls, MB more", "memory", 10000, {"mode": "text-20-0", "warm": 1000}, only=OWN,
                          shows="grown_mb", repetitions=1),
}  # fmt: skip

IMPORTS: dict[str, str] = {
    "langchain_core": "from langchain_core.language_models import BaseChatModel",
    "ours": "from langchain_hf_inference import ChatHFInference\nChatHFInference(model='org/name')",
    "ChatHuggingFace": "from langchain_huggingface import ChatHuggingFace, HuggingFaceEndpoint\n"
    "ChatHuggingFace(llm=HuggingFaceEndpoint(endpoint_url='http://h'))",
    "ChatOpenAI": "from langchain_openai import ChatOpenAI\nChatOpenAI(model='m', api_key='k')",
    "ChatGroq": "from langchain_groq import ChatGroq\nChatGroq(model='m', api_key='k')",
}
"""Each in a fresh interpreter: import, and make a model."""


@dataclass(frozen=True)
class Target:
    """`subject` in `suite` at most `most` times `against`, or `against` at least `least` times `subject`."""

    suite: str
    against: str
    most: float = 0.0
    least: float = 0.0
    shows: str = ""
    """Another figure than the suite's own."""
    other: str = ""
    """The subject in another suite, in place of `against`."""
    subject: str = "ours"


def _least(suites: str, huggingface: float, openai: float, subject: str = "ours") -> list[Target]:
    return [target for suite in suites.split() for target in (
        Target(suite, "ChatHuggingFace", least=huggingface, subject=subject),
        Target(suite, "ChatOpenAI", least=openai, subject=subject))]  # fmt: skip


AIOHTTP = "ours, aiohttp"
TARGETS = [
    Target("invoke", "floor + httpx", most=1.35),
    *_least("invoke", 1.7, 2.3),
    *_least("ainvoke", 1.4, 2.0),
    *_least("ainvoke", 2.2, 3.0, AIOHTTP),
    *_least("stream astream", 4.5, 6.5),
    *_least("astream", 7.0, 10.0, AIOHTTP),
    *_least("stream_tools astream_tools", 6.0, 7.0),
    *(Target(suite, "best peer", least=1.8) for suite in ("many_100", "many_500", "many_1000")),
    *(Target(suite, "best peer", least=4.5, subject=AIOHTTP) for suite in ("many_100", "many_500", "many_1000")),
    Target("many_1000", "ours", most=1.8, other="many_10"),
    Target("embed_tei", "httpx", most=0.8),
    Target("import", "langchain_core", most=1.15),
    Target("stream_10000", "ours", most=1.4, other="stream_100"),
    Target("history_1000", "ChatHuggingFace", least=2.4), Target("history_1000", "ChatOpenAI", least=50.0),
    Target("tools_100", "ChatHuggingFace", least=2.5), Target("tools_100", "ChatOpenAI", least=8.0),
]  # fmt: skip
"""The rest of what is wanted is no ratio of two subjects: see `run.targets_table`."""
