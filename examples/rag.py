"""Answer from documents: embed them, find, rank, and let a chat model answer.

    python examples/rag.py ["What is the capital of France?"]

Without a token the vectors are word counts of the scripted server. EMBED_URL and RANK_URL are servers of yours (TEI).
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import Any

from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda, RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_hf_inference import ChatHFInference, HFInferenceEmbeddings, HFReranker
from langchain_hf_inference.testing import InferenceServer
from served import embedding, served

FACTS = [
    "The Eiffel Tower in Paris is 330 metres high.",
    "Cats sleep up to sixteen hours a day.",
    "Paris is the capital of France, and lies on the Seine.",
    "Rain falls from clouds when drops grow too heavy.",
    "Cats eat meat, and fish when they can get it.",
    "Dogs were the first animals to live with people.",
]


def chain_over(facts: list[str], chat: dict[str, Any], embed: dict[str, Any], rank_url: str) -> Runnable[str, str]:
    """Give a chain that answers questions from `facts`."""
    store = InMemoryVectorStore(HFInferenceEmbeddings(**embed))
    store.add_documents([Document(fact) for fact in facts])
    reranker = HFReranker(endpoint_url=rank_url, engine="tei", top_n=2)

    def found(question: str) -> str:
        candidates = store.similarity_search(question, k=4)
        best = [document.page_content for document in reranker.compress_documents(candidates, question)]
        print(*(f"found: {fact}" for fact in best), sep="\n")
        return "\n".join(best)

    prompt = ChatPromptTemplate.from_messages(
        [("system", "Answer from these facts only:\n{facts}"), ("human", "{question}")]
    )
    inputs: dict[str, Any] = {"facts": RunnableLambda(found), "question": RunnablePassthrough()}
    return inputs | prompt | ChatHFInference(**chat, temperature=0) | StrOutputParser()


def main() -> None:
    question = sys.argv[1] if len(sys.argv) > 1 else "What is the capital of France?"
    with ExitStack() as stack:
        rank_url = os.environ.get("RANK_URL") or stack.enter_context(InferenceServer(engine="tei")).url
        chat, embed = stack.enter_context(served()), stack.enter_context(embedding())
        print("question:", question)
        print("answer:", chain_over(FACTS, chat, embed, rank_url).invoke(question))


if __name__ == "__main__":
    main()
