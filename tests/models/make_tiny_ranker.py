"""Make a tiny cross-encoder with random weights: enough to prove the wire of a real ranking server.

    python make_tiny_ranker.py TOKENIZER_FOLDER OUT_FOLDER

Needs torch and transformers; tests/integration/engines.py runs it with infinity's own.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification


def main(source: Path, target: Path) -> None:
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=1088, hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=128,
        max_position_embeddings=512, num_labels=1, initializer_range=0.3,
    )  # fmt: skip
    BertForSequenceClassification(config).eval().save_pretrained(target)
    shutil.copy(source / "tokenizer.json", target)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    (target / "tokenizer_config.json").write_text(json.dumps({**settings, "model_max_length": 512}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
