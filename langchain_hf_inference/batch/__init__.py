"""Many requests from a file, in OpenAI's batch format or as actions: resumable, none lost, none done twice."""

from __future__ import annotations

from langchain_hf_inference.batch.job import BatchJob
from langchain_hf_inference.batch.progress import BatchProgress
from langchain_hf_inference.batch.run import BatchSummary

__all__ = ["BatchJob", "BatchProgress", "BatchSummary"]
