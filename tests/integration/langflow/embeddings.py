"""Langflow's stock Embedding Model component with Hugging Face for its provider; prints the vectors' lengths."""

from lfx import components as cp
from lfx.custom.custom_component.component import Component
from lfx.extension import load_installed_extensions
from lfx.graph import Graph
from lfx.io import HandleInput, MessageInput, Output
from lfx.schema.message import Message

load_installed_extensions()


class Lengths(Component):
    """Embed the input, and say how long the vectors are."""

    display_name = "Lengths"
    name = "Lengths"
    inputs = [
        HandleInput(name="embeddings", display_name="Embeddings", input_types=["Embeddings"]),
        MessageInput(name="text", display_name="Text"),
    ]
    outputs = [Output(name="lengths", display_name="Lengths", method="tell")]

    def tell(self) -> Message:
        """Embed two texts."""
        vectors = self.embeddings.embed_documents([str(self.text.text), "Dogs bark."])
        return Message(text=str([len(vector) for vector in vectors]))


asked = cp.input_output.ChatInput()
model = cp.models_and_agents.EmbeddingModelComponent()
model.set(model=[{"name": "BAAI/bge-m3", "provider": "Hugging Face", "metadata": {}}])
lengths = Lengths().set(embeddings=model.build_embeddings, text=asked.message_response)
answer = cp.input_output.ChatOutput().set(input_value=lengths.tell)
graph = Graph(asked, answer)
