"""Langflow's stock Agent component with Hugging Face for its provider, and a tool."""

from lfx import components as cp
from lfx.custom.custom_component.component import Component
from lfx.extension import load_installed_extensions
from lfx.graph import Graph
from lfx.io import MessageTextInput, Output
from lfx.schema import Data

load_installed_extensions()


class Weather(Component):
    """A component that agents use as a tool."""

    display_name = "Weather"
    description = "Tell the weather of a city."
    name = "Weather"
    inputs = [MessageTextInput(name="city", display_name="City", info="The city.", tool_mode=True)]
    outputs = [Output(name="weather", display_name="Weather", method="get_weather")]

    def get_weather(self) -> Data:
        """Tell the weather."""
        return Data(data={"city": self.city, "weather": "sunny"})


weather = Weather()
weather._append_tool_to_outputs_map()  # what the canvas does when a component is switched to "tool mode"
asked = cp.input_output.ChatInput()
agent = cp.models_and_agents.AgentComponent()
agent.set(
    model=[{"name": "meta-llama/Llama-3.3-70B-Instruct", "provider": "Hugging Face", "metadata": {}}],
    tools=[weather.to_toolkit],
    input_value=asked.message_response,
    system_prompt="Be brief.",
    add_current_date_tool=False,
    add_calculator_tool=False,
)
answer = cp.input_output.ChatOutput().set(input_value=agent.message_response)
graph = Graph(asked, answer)
