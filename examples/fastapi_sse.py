"""A web service that streams answers as server-sent events.

    python examples/fastapi_sse.py            # then: curl -N 'http://127.0.0.1:8001/ask?question=What+is+the+capital+of+France?'

Events: "thought" and "text" as they come, then "done" with the token counts; or "error", in words that are fit for a user. A
reader who goes away ends the stream, and with it the work of the model's server.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from langchain_hf_inference import ChatHFInference, HFInferenceError
from served import served


def event(name: str, data: object) -> str:
    """Write a server-sent event."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"


async def events(llm: ChatHFInference, question: str) -> AsyncIterator[str]:
    """Give the events of an answer."""
    whole = None
    try:
        async for chunk in llm.astream(question):
            if thought := chunk.additional_kwargs.get("reasoning_content"):
                yield event("thought", thought)
            if chunk.text:
                yield event("text", chunk.text)
            whole = chunk if whole is None else whole + chunk
    except HFInferenceError as error:
        yield event("error", {"type": type(error).__name__, "may_try_again": error.is_retryable})
        return
    yield event("done", whole.usage_metadata if whole else None)


def app_of(llm: ChatHFInference) -> FastAPI:
    """Make the service."""
    app = FastAPI()

    @app.get("/ask")
    async def ask(question: str) -> StreamingResponse:
        return StreamingResponse(
            events(llm, question), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
        )

    return app


def main() -> None:
    with served() as place:
        uvicorn.run(app_of(ChatHFInference(**place, temperature=0)), port=int(os.environ.get("PORT", "8001")))


if __name__ == "__main__":
    main()
