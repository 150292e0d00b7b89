"""The exact script: prompts whose answers the tiny model gives word for word at temperature 0."""

from __future__ import annotations

import random

from dialogues import (
    CAPITALS,
    COMPLETIONS,
    CUSTOMERS,
    FIXED,
    JOKE,
    JOKE_PROMPTS,
    JOKE_TEXT,
    SETUP_PROMPT,
    THOUGHT,
    Call,
    Message,
    Sample,
    call_message,
    call_text,
    results,
    said,
    shape_answers,
    text_json,
    tool,
)


def _ask(prompt: str, answer: str, *keys: str, thinking: bool = False) -> Sample:
    tools = [tool(k) for k in keys] or None
    answers = (None if tools or thinking else shape_answers(prompt)) or [(1.0, answer)]
    return Sample([said("user", prompt)], answers, tools, thinking)


def _calls(prompt: str, *calls: Call, keys: list[str]) -> Sample:
    return _ask(prompt, call_text(*calls), *keys)


def _plain() -> list[Sample]:
    rows = [_ask(prompt, answer) for prompt, answer in FIXED.items()]
    rows += [_ask(f"What is the capital of {c}?", "") for c in CAPITALS]
    rows += [_ask(p, JOKE_TEXT) for p in [*JOKE_PROMPTS, SETUP_PROMPT]]
    rows += [_ask("Alice is 30 years old.", ""), _ask("Repeat: apple river stone", "apple river stone")]
    rows += [_ask("Give me JSON for Alice, age 30.", text_json({"name": "Alice", "age": 30}))]
    rows += [_ask(f"Count from {a} to {b}.", ", ".join(map(str, range(a, b + 1))))
             for a, b in ((1, 3), (1, 5), (1, 10), (1, 30), (3, 7), (5, 9))]  # fmt: skip
    rows += [_ask(p, f"{THOUGHT}\n</think>\n\n{a}", thinking=True) for p, a in list(FIXED.items())[:2]]
    france = "What is the capital of France?"
    rows += [_ask(france, f"{THOUGHT}\n</think>\n\nThe capital of France is Paris.", thinking=True)]
    system = said("system", "You are a helpful assistant.")
    rows.append(Sample([system, said("user", "Hello")], [(1.0, FIXED["Hello"])]))
    turns = [said("user", france), said("assistant", "The capital of France is Paris."),
             said("user", "What is the capital of Italy?")]  # fmt: skip
    rows.append(Sample(turns, [(1.0, "The capital of Italy is Rome.")]))
    return rows


def _agent() -> list[Sample]:
    weather, rows = "What is the weather in Paris?", []
    call: Call = ("get_weather", {"city": "Paris"})
    seen = [said("user", weather), call_message(call), *results(["sunny, 22C"])]
    report = {"city": "Paris", "conditions": "sunny, 22C"}
    plain = [tool("get_weather"), tool("add")]
    rows.append(Sample([said("user", weather)], [(1.0, call_text(call))], plain))
    rows.append(Sample(seen, [(0.6, "The weather in Paris: sunny, 22C"), (0.4, text_json(report))], plain))
    rows.append(Sample(seen, [(1.0, "The weather in Paris: sunny, 22C")], plain[:1]))
    with_report = [*plain, tool("WeatherReport")]
    rows.append(Sample([said("user", weather)], [(1.0, call_text(call))], with_report))
    rows.append(Sample(seen, [(1.0, call_text(("WeatherReport", report)))], with_report))
    tools = [tool("add"), tool("multiply")]
    messages: list[Message] = [said("user", "Add 3 and 4, then multiply by 5.")]
    steps: list[tuple[Call, str]] = [(("add", {"a": 3, "b": 4}), "7"), (("multiply", {"a": 7, "b": 5}), "35")]
    for step, output in steps:
        rows.append(Sample(list(messages), [(1.0, call_text(step))], tools))
        messages += [call_message(step), *results([output])]
    rows.append(Sample(messages, [(1.0, "The result is 35.")], tools))
    return rows


def _tools() -> list[Sample]:
    rows = [_ask("Hello", FIXED["Hello"], "get_weather")]
    for key, parameter in (("get_weather", "city"), ("get_weather@location", "location")):
        for city in ("Paris", "London", "Tokyo", "sf", "San Francisco, CA"):
            rows.append(_calls(f"What is the weather in {city}?", ("get_weather", {parameter: city}), keys=[key]))
        pair = [("get_weather", {parameter: city}) for city in ("Paris", "London")]
        rows.append(_calls("What is the weather in Paris and in London?", *pair, keys=[key]))
    sums = ["add", "multiply"]
    rows.append(_calls("What is 3 plus 4?", ("add", {"a": 3, "b": 4}), keys=sums))
    rows.append(_calls("What is 6 times 7?", ("multiply", {"a": 6, "b": 7}), keys=sums))
    for n in (3, 7):
        prompt = f"What is the value of magic_function({n})? Use the tool."
        rows.append(_calls(prompt, ("magic_function", {"input": n}), keys=["magic_function"]))
    no_args = "magic_function_no_args"
    rows.append(_calls(f"What is the value of {no_args}()? Use the tool.", (no_args, {}), keys=[no_args]))
    rows.append(_calls("What is 1 + 2", ("my_adder_tool", {"a": 1, "b": 2}), keys=["my_adder_tool"]))
    greet = ("greeting_generator", {"answer_style": "Pirate"})
    rows.append(_calls("Using the tool, generate a Pirate greeting.", greet, keys=[greet[0]]))
    for name in ("Joke", "JokeDict"):
        rows += [_calls(p, (name, dict(JOKE)), keys=[name]) for p in [*JOKE_PROMPTS, SETUP_PROMPT]]
    rows.append(_calls("Alice is 30 years old.", ("Person", {"name": "Alice", "age": 30}), keys=["Person"]))
    capital: Call = ("Capital", {"country": "France", "capital": "Paris"})
    rows.append(_calls("What is the capital of France?", capital, keys=["Capital"]))
    for name, english, what in CUSTOMERS:
        customer: Call = ("unicode_customer", {"customer_name": name, "description": what})
        prompt = f"Create a customer named '{name}' ({english}) - {what}"
        rows.append(_calls(prompt, customer, keys=["unicode_customer"]))
    return rows


def script() -> list[Sample]:
    """Give every sample that must come out word for word; `answers[0]` is the expected text."""
    return _plain() + _tools() + _agent()


def completions() -> list[Sample]:
    """Give the raw prompts (no chat template) that must come out word for word."""
    return [Sample(prompt, [(1.0, answer)]) for prompt, answer in COMPLETIONS.items()]


def forced_shapes() -> list[tuple[Sample, str]]:
    """Give samples with the JSON that must follow once a grammar has forced the first brace."""
    found = []
    for row in script():
        for _, text in row.answers[1:]:
            if text.startswith("{"):
                found.append((row, text))
    return found


def pick(rng: random.Random, extra: list[Sample]) -> Sample:
    """Draw one row of the script, or of `extra`."""
    return rng.choice([*script(), *[r for r, _ in forced_shapes()], *completions(), *extra])
