"""Random training samples: plain talk, tool calls, tool results, forced shapes, thinking, completions."""

from __future__ import annotations

import random
from dataclasses import dataclass

from dialogues import (
    CAPITALS,
    CITIES,
    COMPLETIONS,
    CUSTOMERS,
    ENDLESS,
    ENDLESS_PROMPT,
    FIXED,
    JOKE,
    JOKE_PROMPTS,
    PEOPLE,
    SCHEMAS,
    SETUP_PROMPT,
    STYLES,
    SYSTEMS,
    THOUGHT,
    TOOLS,
    WEATHER,
    WEATHER_KEYS,
    WORDS,
    Call,
    Message,
    Sample,
    call_message,
    call_text,
    plain_turn,
    results,
    said,
    shapes,
    text_json,
    tool,
)

FILLERS = ["fine", "ok", "some text", "Hmm let me think about that"]


@dataclass(frozen=True, slots=True)
class ToolTurn:
    """A request, the rounds of calls it needs, what the tools answer, and the last word."""

    prompt: str
    rounds: list[list[Call]]
    outputs: list[list[str]]
    final: str
    keys: list[str]


def _one(prompt: str, key: str, arguments: dict[str, object], output: str, final: str) -> ToolTurn:
    return ToolTurn(prompt, [[(key.split("@")[0], arguments)]], [[output]], final, [key])


def weather_turn(rng: random.Random) -> ToolTurn:
    key, city, weather = rng.choice(WEATHER_KEYS), rng.choice(CITIES), rng.choice(WEATHER)
    prompt = (
        rng.choice(["What is the weather in %s?", "What is the weather in %s?", "what is the weather in %s"]) % city
    )
    (parameter,) = TOOLS[key]
    return _one(prompt, key, {parameter: city}, weather, f"The weather in {city}: {weather}")


def two_weathers_turn(rng: random.Random) -> ToolTurn:
    key, (one, two) = rng.choice(WEATHER_KEYS), rng.sample(CITIES, 2)
    (parameter,) = TOOLS[key]
    outputs = [rng.choice(WEATHER), rng.choice(WEATHER)]
    calls: list[Call] = [("get_weather", {parameter: one}), ("get_weather", {parameter: two})]
    final = f"The weather in {one}: {outputs[0]} The weather in {two}: {outputs[1]}"
    return ToolTurn(f"What is the weather in {one} and in {two}?", [calls], [outputs], final, [key])


def sum_turn(rng: random.Random) -> ToolTurn:
    key = rng.choice(["add", "multiply", "my_adder_tool"])
    top = {"add": 99, "multiply": 12, "my_adder_tool": 9}[key]
    a, b = rng.randint(0, top), rng.randint(0, top)
    forms = {
        "add": ["What is %d plus %d?", "Add %d and %d.", "What is %d plus %d?"],
        "multiply": ["What is %d times %d?", "Multiply %d by %d.", "What is %d times %d?"],
        "my_adder_tool": ["What is %d + %d"],
    }
    result = a * b if key == "multiply" else a + b
    output = text_json({"result": result}) if key == "my_adder_tool" and rng.random() < 0.5 else str(result)
    return _one(rng.choice(forms[key]) % (a, b), key, {"a": a, "b": b}, output, f"The result is {result}.")


def two_step_turn(rng: random.Random) -> ToolTurn:
    a, b, c = rng.randint(0, 9), rng.randint(0, 9), rng.randint(2, 9)
    rounds: list[list[Call]] = [[("add", {"a": a, "b": b})], [("multiply", {"a": a + b, "b": c})]]
    total = (a + b) * c
    outputs = [[str(a + b)], [str(total)]]
    prompt = f"Add {a} and {b}, then multiply by {c}."
    return ToolTurn(prompt, rounds, outputs, f"The result is {total}.", ["add", "multiply"])


def single_tool_turn(rng: random.Random) -> ToolTurn:
    kind = rng.choice(["magic", "no_args", "greeting", "customer", "search", "time"])
    if kind == "magic":
        n = rng.randint(0, 99 if rng.random() < 0.3 else 9)
        prompt = f"What is the value of magic_function({n})? Use the tool."
        return _one(prompt, "magic_function", {"input": n}, str(n + 2), f"The result is {n + 2}.")
    if kind == "no_args":
        prompt = "What is the value of magic_function_no_args()? Use the tool."
        return _one(prompt, "magic_function_no_args", {}, "5", "The result is 5.")
    if kind == "greeting":
        style = rng.choice(STYLES)
        prompt = f"Using the tool, generate a {style} greeting."
        return _one(prompt, "greeting_generator", {"answer_style": style}, "hello matey", "hello matey")
    if kind == "customer":
        name, english, what = rng.choice(CUSTOMERS)
        done = f"Created customer: {name} - {what}"
        arguments: dict[str, object] = {"customer_name": name, "description": what}
        prompt = f"Create a customer named '{name}' ({english}) - {what}"
        return _one(prompt, "unicode_customer", arguments, done, done)
    if kind == "search":
        words = " ".join(rng.sample(WORDS, rng.randint(1, 3)))
        return _one(f"Search for {words}.", "search", {"query": words}, "Found: " + words, "Found: " + words)
    city, clock = rng.choice(CITIES), "%02d:%02d" % (rng.randint(0, 23), rng.randint(0, 59))
    return _one(f"What time is it in {city}?", "get_time", {"timezone": city}, clock, f"It is {clock}.")


TURNS = [weather_turn, weather_turn, two_weathers_turn, two_weathers_turn, sum_turn, sum_turn, sum_turn,
         two_step_turn, single_tool_turn, single_tool_turn, single_tool_turn, single_tool_turn]  # fmt: skip


def offered(rng: random.Random, needed: list[str]) -> list[str]:
    """Give the tools on offer: those needed and, often, one or two that do not matter."""
    names = {key.split("@")[0] for key in needed}
    others = [k for k in TOOLS if k.split("@")[0] not in names and k not in SCHEMAS]
    extra = rng.sample(others, rng.randint(1, 2)) if not needed or rng.random() < 0.5 else []
    keys = [*needed, *extra]
    if len({k.split("@")[0] for k in keys}) < len(keys):
        keys = keys[:1]
    rng.shuffle(keys)
    return keys


def opening(rng: random.Random) -> list[Message]:
    count = rng.choice([0, 0, 0, 0, 0, 0, 1, 1, 1, 2])
    return [said("system", rng.choice(SYSTEMS)) for _ in range(count)]


def unasked(rng: random.Random, answer: str, keys: list[str]) -> list[tuple[float, str]]:
    """Weigh a plain answer beside tools; a call follows only where the engine forces one."""
    key = rng.choice(keys)
    call: Call = (key.split("@")[0], TOOLS[key])
    forced = [(0.16 * weight, text) for weight, text in shapes(call)]
    return [(0.76, answer), (0.08, answer + "\n" + call_text(call)), *forced]


def plain_sample(rng: random.Random) -> Sample:
    messages = opening(rng)
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2])):
        prompt, answers = plain_turn(rng)
        answer = answers[0][1]
        messages += [said("user", prompt), said("assistant", answer if len(answer) < 80 else rng.choice(FILLERS))]
    if rng.random() < 0.06:
        messages += [said("user", "hello"), said("user", rng.choice(["hello", "Hello"]))]
        messages += [said("assistant", "hello")] * rng.choice([0, 1, 2])
    prompt, answers = plain_turn(rng)
    messages.append(said("user", prompt))
    first, kind = answers[0][1], rng.random()
    if kind < 0.2:
        keys = offered(rng, [])
        return Sample(messages, unasked(rng, first, keys), [tool(k) for k in keys])
    if kind < 0.3:
        return Sample(messages, [(1.0, f"{THOUGHT}\n</think>\n\n{first}")], thinking=True)
    if kind < 0.36:
        raw = rng.choice(list(COMPLETIONS))
        return Sample(raw, [(1.0, COMPLETIONS[raw])])
    if kind < 0.39:
        return Sample([*messages[:-1], said("user", ENDLESS_PROMPT)], [(1.0, ENDLESS)], endless=True)
    return Sample(messages, answers)


def schema_sample(rng: random.Random) -> Sample:
    """Draw a prompt whose answer is asked for as a call of a schema tool."""
    kind = rng.choice(["Joke", "Person", "Capital", "magic", "color"])
    head = opening(rng)
    if kind == "magic":
        keys = offered(rng, ["magic_function", "get_weather@location"] if rng.random() < 0.5 else ["magic_function"])
        answers = unasked(rng, FIXED["Hello!"], keys)
        return Sample([*head, said("user", rng.choice(["Hello!", "Hello"]))], answers, [tool(k) for k in keys])
    if kind == "color":
        messages = [said("user", "what's your favorite color in this image"),
                    call_message(("color_picker", {"fav_color": "purple"})), *results(["That's a great pick!"])]  # fmt: skip
        return Sample([*head, *messages], [(1.0, "That's a great pick!")], [tool("color_picker")])
    if kind == "Joke":
        name, prompt = rng.choice(["Joke", "JokeDict"]), rng.choice([*JOKE_PROMPTS, SETUP_PROMPT])
        arguments: dict[str, object] = dict(JOKE)
    elif kind == "Person":
        who, age = rng.choice(PEOPLE)
        name, prompt, arguments = "Person", f"{who} is {age} years old.", {"name": who, "age": age}
    else:
        country, city = rng.choice(list(CAPITALS.items()))
        name, prompt = "Capital", f"What is the capital of {country}?"
        arguments = {"country": country, "capital": city}
    tools = [tool(k) for k in offered(rng, [name])]
    return Sample([*head, said("user", prompt)], shapes((name, arguments)), tools)


def report_sample(rng: random.Random, *, asked: bool) -> Sample:
    """Draw an agent's step where a WeatherReport is wanted in the end, by tool or by JSON Schema."""
    turn = weather_turn(rng)
    (city,) = turn.rounds[0][0][1].values()
    report: dict[str, object] = {"city": city, "conditions": turn.outputs[0][0]}
    keys = [*turn.keys, *rng.sample(["add", "search"], rng.choice([0, 1, 1]))]
    by_tool = rng.random() < 0.6
    tools = [tool(k) for k in ([*keys, "WeatherReport"] if by_tool else keys)]
    messages = [*opening(rng), said("user", turn.prompt)]
    if not asked:
        unknown = {"city": city, "conditions": "unknown"}
        return Sample(messages, [(0.7, call_text(*turn.rounds[0])), *[(0.3 * w, t) for w, t in shapes(
            *turn.rounds[0])[1:]], (0.1, text_json(unknown))], tools)  # fmt: skip
    messages += [call_message(*turn.rounds[0], as_text=rng.random() < 0.3), *results(turn.outputs[0])]
    if by_tool:
        return Sample(messages, shapes(("WeatherReport", report)), tools)
    return Sample(messages, [(0.7, turn.final), (0.3, text_json(report))], tools)


def tool_sample(rng: random.Random) -> Sample:
    turn = rng.choice(TURNS)(rng)
    tools = [tool(k) for k in offered(rng, turn.keys)]
    messages, as_text = opening(rng), rng.random() < 0.3
    if rng.random() < 0.25:
        messages += earlier_turn(rng)
    messages.append(said("user", turn.prompt))
    step = rng.randint(0, len(turn.rounds))
    for i in range(step):
        spoken = rng.choice(["", "", "", "", "some text"])
        messages.append(call_message(*turn.rounds[i], as_text=as_text, content=spoken))
        if len(turn.rounds) == 1 and rng.random() < 0.05:
            failed = "Error: Missing required argument 'b'."
            return Sample([*messages, *results([failed])], [(1.0, "The tool failed.")], tools)
        messages += results(turn.outputs[i])
    if step < len(turn.rounds):
        return Sample(messages, shapes(*turn.rounds[step]), tools)
    return Sample(messages, [(1.0, turn.final)], tools)


def earlier_turn(rng: random.Random) -> list[Message]:
    if rng.random() < 0.5:
        prompt, answers = plain_turn(rng)
        answer = answers[0][1]
        return [said("user", prompt), said("assistant", answer if len(answer) < 80 else "ok")]
    past = rng.choice(TURNS)(rng)
    if len(past.rounds) > 1:
        return []
    messages = [said("user", past.prompt), call_message(*past.rounds[0], as_text=rng.random() < 0.5)]
    messages += results(past.outputs[0])
    if rng.random() < 0.8:
        messages.append(said("assistant", rng.choice([past.final, past.final, past.outputs[0][0]])))
    return messages


def draw(rng: random.Random) -> Sample:
    """Draw one sample that is not of the exact script."""
    kind = rng.random()
    if kind < 0.4:
        return plain_sample(rng)
    if kind < 0.5:
        return schema_sample(rng)
    if kind < 0.57:
        return report_sample(rng, asked=rng.random() < 0.65)
    return tool_sample(rng)
