"""An agent that calls tools until it is done, each step as it happens.

python examples/agent.py ["What is the weather in Paris?"]
"""

from __future__ import annotations

import sys

from langchain.agents import create_agent

from langchain_hf_inference import ChatHFInference
from served import served


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def main() -> None:
    question = sys.argv[1] if len(sys.argv) > 1 else "Add 3 and 4, then multiply by 5."
    with served() as place:
        agent = create_agent(ChatHFInference(**place, temperature=0), [add, multiply])
        print("user:", question)
        for step in agent.stream({"messages": [("user", question)]}, stream_mode="updates"):
            for update in step.values():
                for message in update["messages"]:
                    calls = [f"{call['name']}({call['args']})" for call in getattr(message, "tool_calls", [])]
                    print(f"{message.type}:", message.text or ", ".join(calls))


if __name__ == "__main__":
    main()
