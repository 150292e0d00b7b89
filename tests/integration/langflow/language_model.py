"""Langflow's stock Language Model component with Hugging Face for its provider."""

from lfx import components as cp
from lfx.extension import load_installed_extensions
from lfx.graph import Graph

load_installed_extensions()

asked = cp.input_output.ChatInput()
model = cp.models_and_agents.LanguageModelComponent()
model.set(
    model=[{"name": "meta-llama/Llama-3.3-70B-Instruct", "provider": "Hugging Face", "metadata": {}}],
    input_value=asked.message_response,
    system_message="Be brief.",
    temperature=0.3,
    max_tokens=77,
)
answer = cp.input_output.ChatOutput().set(input_value=model.text_response)
graph = Graph(asked, answer)
