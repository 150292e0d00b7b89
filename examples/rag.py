"""Answer from documents: embed them, find, rerank, and let a chat model answer.

    python examples/rag.py      # on the scripted server: rules and word counts, no language model
    CHAT_URL=http://localhost:8000 EMBED_URL=http://localhost:8080 python examples/rag.py     # on servers of yours

EMBED_URL is a TEI server that embeds and ranks; CHAT_URL any server that chats.
"""

from __future__ import annotations

import os
from contextlib import ExitStack

from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_hf_inference import ChatHFInference, HFInferenceEmbeddings, HFReranker
from langchain_hf_inference.testing import InferenceServer

FACTS = [
    "The Eiffel Tower in Paris is 330 metres high.",
    "Cats sleep up to sixteen hours a day.",
    "Rain falls from clouds when drops grow too heavy.",
    "Cats eat meat, and fish when they can get it.",
    "The river Seine flows through Paris.",
    "Dogs were the first animals to live with people.",
]


def answer(question: str, chat_url: str, embed_url: str) -> str:
    """Answer `question` from FACTS."""
    store = InMemoryVectorStore(HFInferenceEmbeddings(endpoint_url=embed_url))
    store.add_documents([Document(fact) for fact in FACTS])
    reranker = HFReranker(endpoint_url=embed_url, top_n=2)

    def found(asked: str) -> str:
        candidates = store.similarity_search(asked, k=4)
        return "\n".join(document.page_content for document in reranker.compress_documents(candidates, asked))

    prompt = ChatPromptTemplate.from_messages(
        [("system", "Answer from these facts only."), ("human", "Facts:\n{facts}\n\nQuestion: {question}")]
    )
    chain = (
        {"facts": RunnableLambda(found), "question": RunnablePassthrough()}
        | prompt
        | ChatHFInference(endpoint_url=chat_url, temperature=0)
        | StrOutputParser()
    )
    return chain.invoke(question)


def main() -> None:
    with ExitStack() as stack:
        chat_url = os.environ.get("CHAT_URL") or stack.enter_context(InferenceServer()).url
        embed_url = os.environ.get("EMBED_URL") or stack.enter_context(InferenceServer(engine="tei")).url
        print(answer("What do cats eat?", chat_url, embed_url))


if __name__ == "__main__":
    main()
