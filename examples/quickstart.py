"""The first ten lines: ask, stream, get data.

python examples/quickstart.py
"""

from __future__ import annotations

from pydantic import BaseModel

from langchain_hf_inference import ChatHFInference
from served import served


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def main() -> None:
    with served() as place:
        llm = ChatHFInference(**place, temperature=0)

        message = llm.invoke("What is the capital of France?")
        print(message.text, message.usage_metadata)

        for chunk in llm.stream("What is the capital of Italy?"):
            print(chunk.text, end="|", flush=True)
        print()

        print(repr(llm.with_structured_output(Person).invoke("Alice is 30 years old.")))


if __name__ == "__main__":
    main()
