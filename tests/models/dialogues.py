"""What the tiny chat model learns: a script of prompts and answers, and random variations of it.

Only the standard library is needed, so that tests can ask for the expected answers
(`script()`) without torch. A sample is a prompt and what may follow it; the first
continuation is the one to be learnt as the most likely, the others are the shapes an
engine may force with a grammar (a bare JSON object, a JSON list of calls), so that
constrained decoding finds sensible values.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass

CAPITALS = {
    "France": "Paris", "Germany": "Berlin", "Italy": "Rome", "Spain": "Madrid", "Portugal": "Lisbon",
    "England": "London", "Ireland": "Dublin", "Austria": "Vienna", "Poland": "Warsaw", "Norway": "Oslo",
    "Sweden": "Stockholm", "Finland": "Helsinki", "Greece": "Athens", "Japan": "Tokyo", "China": "Beijing",
    "Canada": "Ottawa", "Egypt": "Cairo",
}  # fmt: skip
CITIES = sorted({*CAPITALS.values(), "San Francisco, CA", "New York", "Boston", "SF", "sf", "Munich"})
WEATHER = ["sunny, 22C", "rainy, 14C", "cloudy, 18C", "snowy, -2C", "windy, 9C", "It's sunny."]
WORDS = [
    "apple",
    "river",
    "stone",
    "cloud",
    "green",
    "seven",
    "tiger",
    "paper",
    "lemon",
    "ocean",
    "quiet",
    "music",
    "garden",
    "window",
    "silver",
    "orange",
    "bridge",
    "winter",
    "candle",
    "rocket",
    "yellow",
    "forest",
    "pencil",
    "marble",
    "coffee",
    "world",
    "one",
    "two",
    "three",
]
PEOPLE = [("Alice", 30), ("Bob", 25), ("Carol", 41), ("Dave", 19)]
CUSTOMERS = [
    ("你好啊集团", "Hello Group", "a Chinese technology company"),
    ("こんにちは株式会社", "Hello Corporation", "a Japanese company"),
]
STYLES = ["Pirate", "Cowboy", "Robot"]
SYSTEMS = ["You are a helpful assistant.", "You are a helpful assistant.", "hello", "Be brief.", "Answer in English."]
GREETING = "Hello! How can I help you today?"
FIXED = {
    **dict.fromkeys(["Hello", "Hello!", "hello", "hi", "Hi", "Hi!", "Hey"], GREETING),
    "how are you": "I am fine, thank you.", "How are you?": "I am fine, thank you.",
    "Well, thanks.": "Good to hear.", "Thanks": "You are welcome.", "Thank you!": "You are welcome.",
    "Bye": "Goodbye!", "Who are you?": "I am a tiny test model.", "What is your name?": "I am a tiny test model.",
    "ping": "pong", "Send me an emoji.": "Here: 🤗🚀", "Say hello in Japanese.": "こんにちは",
    "Write me 2 haikus. Only include the haikus.": (
        "Rain upon the pond\nA small frog sits on a leaf\nThe water is still\n\n"
        "Snow upon the hill\nA red fox runs to its home\nThe evening is cold"
    ),
    "Tell me a story.": (
        "A cat lived in a small house by the river. Every day the cat went to look at the fish. "
        "One day a fish said hello to the cat. They became friends. The end."
    ),
}  # fmt: skip
JOKE = {"setup": "Why did the cat sit on the computer?", "punchline": "To keep an eye on the mouse."}
JOKE_TEXT = JOKE["setup"] + " " + JOKE["punchline"]
JOKE_PROMPTS = ["Tell me a joke about cats.", "Tell me a joke.", "Give me a joke about cats, include the punchline."]
SETUP_PROMPT = "Give me the setup to a joke about cats, no punchline."
JSON_JOKE_PROMPT = (
    "Tell me a joke about cats. Return the result as a JSON with 'setup' and 'punchline' keys. "
    "Return nothing other than JSON."
)
COMPLETIONS = {
    "Once upon a time": " there was a cat. The end.",
    "1, 2, 3,": " 4, 5, 6, 7, 8, 9, 10",
    "Roses are red,": " violets are blue.",
    **{f"The capital of {country} is": f" {city}." for country, city in CAPITALS.items()},
}
ENDLESS_PROMPT, ENDLESS = "Sing forever.", "la " * 32 + "la"
THOUGHT = "This is a simple question. I will answer it."

# tool: parameters, and what they get when an engine forces a call that nobody asked for
TOOLS: dict[str, dict[str, object]] = {
    "get_weather": {"city": "Paris"}, "get_weather@location": {"location": "Paris"},
    **{f"get_weather@{key}": {key: "Paris"} for key in ("place", "town", "area", "where")},
    "add": {"a": 1, "b": 2}, "multiply": {"a": 1, "b": 2}, "my_adder_tool": {"a": 1, "b": 2},
    "magic_function": {"input": 1}, "magic_function_no_args": {},
    "greeting_generator": {"answer_style": "Pirate"},
    "unicode_customer": {"customer_name": "Bob", "description": "Bob"},
    "search": {"query": "apple"}, "get_time": {"timezone": "Paris"}, "color_picker": {"fav_color": "green"},
    "Joke": JOKE, "JokeDict": JOKE, "Person": {"name": "Alice", "age": 30},
    "Capital": {"country": "France", "capital": "Paris"}, "WeatherReport": {"city": "Paris", "conditions": "sunny, 22C"},
}  # fmt: skip
SCHEMAS = ("Joke", "JokeDict", "Person", "Capital", "WeatherReport")
WEATHER_KEYS = ["get_weather"] * 3 + ["get_weather@location"] * 3 + [k for k in TOOLS if "@" in k]
INTEGERS = {"a", "b", "input", "age"}

Message = dict[str, object]
Call = tuple[str, dict[str, object]]


@dataclass(frozen=True, slots=True)
class Sample:
    """A prompt (`messages`, or raw text) and its weighted continuations, the likeliest first."""

    messages: list[Message] | str
    answers: list[tuple[float, str]]
    tools: list[Message] | None = None
    thinking: bool = False
    endless: bool = False


def tool(key: str) -> Message:
    """Give the definition of tool `key`; the types are true, since some engines enforce them."""
    name = key.split("@")[0]
    properties = {p: {"type": "integer" if p in INTEGERS else "string"} for p in TOOLS[key]}
    parameters = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {"name": name, "description": name, "parameters": parameters}}


def text_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def call_text(*calls: Call) -> str:
    return "\n".join(
        f'<tool_call>\n{{"name": "{name}", "arguments": {text_json(arguments)}}}\n</tool_call>'
        for name, arguments in calls
    )


def call_message(*calls: Call, as_text: bool = False, content: str = "") -> Message:
    functions = [{"name": n, "arguments": text_json(a) if as_text else a} for n, a in calls]
    tool_calls = [{"id": f"c{i}", "type": "function", "function": f} for i, f in enumerate(functions)]
    return {"role": "assistant", "content": content, "tool_calls": tool_calls}


def said(role: str, text: str) -> Message:
    return {"role": role, "content": text}


def results(texts: list[str]) -> list[Message]:
    return [{"role": "tool", "tool_call_id": f"c{i}", "content": text} for i, text in enumerate(texts)]


def shapes(*calls: Call) -> list[tuple[float, str]]:
    """Weigh the forms in which engines ask for the same call: as learnt, as a list, bare, wrapped."""
    name, arguments = calls[0]
    listed = text_json([{"name": n, "parameters": a} for n, a in calls])
    wrapped = text_json({"function": {"_name": name, **arguments}})
    return [(0.8, call_text(*calls)), (0.08, listed), (0.08, text_json(arguments)), (0.04, wrapped)]


def with_json(answer: str, value: object, weight: float = 0.3) -> list[tuple[float, str]]:
    return [(1 - weight, answer), (weight, text_json(value))]


def shape_answers(prompt: str) -> list[tuple[float, str]] | None:
    """Give the JSON that belongs to a plain prompt once a grammar has forced a brace."""
    if prompt in JOKE_PROMPTS:
        return with_json(JOKE_TEXT, JOKE)
    if prompt == SETUP_PROMPT:
        return with_json(JOKE["setup"], {"setup": JOKE["setup"], "punchline": None})
    for name, age in PEOPLE:
        if prompt == f"{name} is {age} years old.":
            return with_json(f"Nice to meet {name}.", {"name": name, "age": age}, 0.4)
    for country, city in CAPITALS.items():
        if prompt == f"What is the capital of {country}?":
            answer = f"The capital of {country} is {city}."
            return with_json(answer, {"country": country, "capital": city}, 0.2)
    return None


def plain_turn(rng: random.Random) -> tuple[str, list[tuple[float, str]]]:
    """Draw a prompt that needs no tool, and its answers."""
    kind = rng.random()
    if kind < 0.25:
        prompt = rng.choice(list(FIXED))
        return prompt, [(1.0, FIXED[prompt])]
    if kind < 0.5:
        country = rng.choice(list(CAPITALS))
        prompt = f"What is the capital of {country}?"
    elif kind < 0.62:
        words = " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 6)))
        return rng.choice(["Repeat: ", "Say: "]) + words, [(1.0, words)]
    elif kind < 0.74:
        first = rng.randint(1, 5)
        last = first + rng.choice([2, 4, 9, 4, 9, 29])
        return f"Count from {first} to {last}.", [(1.0, ", ".join(map(str, range(first, last + 1))))]
    elif kind < 0.88:
        prompt = rng.choice([*JOKE_PROMPTS, SETUP_PROMPT, JSON_JOKE_PROMPT])
        if prompt == JSON_JOKE_PROMPT:
            return prompt, [(1.0, text_json(JOKE))]
    else:
        name, age = rng.choice(PEOPLE)
        if rng.random() < 0.5:
            return f"Give me JSON for {name}, age {age}.", [(1.0, text_json({"name": name, "age": age}))]
        prompt = f"{name} is {age} years old."
    answers = shape_answers(prompt)
    assert answers is not None, prompt
    return prompt, answers
