"""A scripted server to test chains with: real HTTP on loopback, no language model.

    from langchain_hf_inference import ChatHFInference
    from langchain_hf_inference.testing import Fault, InferenceServer

    with InferenceServer() as server:
        llm = ChatHFInference(endpoint_url=server.url, model="my-model")
        server.fail(Fault.rate_limited(retry_after=0.1))
        llm.invoke("Hello")
        assert server.requests[-1].body["model"] == "my-model"

It answers by rules (see `script.py`), the same request always in the same way, fills tool
arguments and JSON Schemas from the prompt, and refuses what is not well-formed with 400 and a
reason. The `model` of its answers begins with "scripted": nobody should take it for a model.
"""

from langchain_hf_inference.testing.faults import Fault
from langchain_hf_inference.testing.server import InferenceServer, RecordedRequest

__all__ = ["Fault", "InferenceServer", "RecordedRequest"]
