"""`python -m langchain_hf_inference` is `hf-inference`."""

from langchain_hf_inference.cli import run

run()
