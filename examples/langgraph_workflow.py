"""A LangGraph workflow: the model asks for a tool, a person allows the call or not, the conversation is remembered.

python examples/langgraph_workflow.py [--refuse]
"""

from __future__ import annotations

import sys
from typing import Any

from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from langchain_hf_inference import ChatHFInference
from served import served


@tool
def get_weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"{city}: sunny, 22C."


def workflow(llm: ChatHFInference) -> Any:
    """Draw the graph: think, ask the person, call, think again."""
    with_tools = llm.bind_tools([get_weather])

    def think(state: MessagesState) -> dict[str, Any]:
        return {"messages": [with_tools.invoke(state["messages"])]}

    def call(state: MessagesState) -> dict[str, Any]:
        results = []
        for wanted in state["messages"][-1].tool_calls:
            may = interrupt({"question": f"Call {wanted['name']}({wanted['args']})?"})
            result = get_weather.invoke(wanted["args"]) if may else "The user did not allow this."
            results.append(ToolMessage(result, tool_call_id=wanted["id"]))
        return {"messages": results}

    def next_of(state: MessagesState) -> str:
        last = state["messages"][-1]
        return "call" if isinstance(last, AIMessage) and last.tool_calls else END

    graph = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_node("call", call)
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", next_of, ["call", END])
    graph.add_edge("call", "think")
    return graph.compile(checkpointer=InMemorySaver())


def main() -> None:
    may = "--refuse" not in sys.argv
    with served() as place:
        graph, talk = workflow(ChatHFInference(**place, temperature=0)), {"configurable": {"thread_id": "1"}}
        state = graph.invoke({"messages": [("user", "What is the weather in Paris?")]}, talk)
        while asked := state.get("__interrupt__"):
            print(asked[0].value["question"], "yes" if may else "no")
            state = graph.invoke(Command(resume=may), talk)
        for message in state["messages"]:
            print(f"{message.type}:", message.text or [(call["name"], call["args"]) for call in message.tool_calls])


if __name__ == "__main__":
    main()
