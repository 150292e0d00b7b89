"""Structured extraction: a class goes in, instances come out; what could not be read is told, text by text.

python examples/extraction.py
"""

from __future__ import annotations

from pydantic import BaseModel, Field

from langchain_hf_inference import ChatHFInference
from served import served

TEXTS = ["Alice is 30 years old.", "Bob is 25 years old.", "Carol is 41 years old."]


class Person(BaseModel):
    """A person."""

    name: str
    age: int = Field(ge=0, le=150)


def main() -> None:
    with served() as place:
        reader = ChatHFInference(**place, temperature=0).with_structured_output(Person, include_raw=True)
        for text, found in zip(TEXTS, reader.batch(TEXTS), strict=True):
            if found["parsed"] is None:
                said = found["raw"].text or found["parsing_error"]
                print(f"{text!r}: no person found; the model said {said!r}")
            else:
                print(f"{text!r}: {found['parsed']!r}")


if __name__ == "__main__":
    main()
