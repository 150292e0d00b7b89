"""Make the tiny chat model: tokenizer, training, check, and a GGUF file for llama.cpp.

    python make_tiny_chat.py tiny-chat --gguf tiny-chat.gguf     # about five CPU minutes
    python make_tiny_chat.py tiny-chat --check                   # ask the whole script again

Everything is made here, nothing is downloaded: a byte-level BPE trained on the dialogues
of this folder, and 0.9 million Qwen3 weights that start random. Needs torch, transformers
(5 or newer) and gguf; tests/integration/engines.py installs them for transformers serve.
Exits 1 unless every answer of the script comes out word for word.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import time
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
)

from dialogues import Sample, text_json
from gguf_file import write_gguf
from samples import draw
from script import completions, forced_shapes, pick, script

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = [END_OF_TEXT, TURN_START, TURN_END]
# Single tokens, but not "special": engines' parsers have to see them in the text.
VISIBLE = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>"]
# Qwen2's pre-tokenizer, which llama.cpp knows by name ("qwen2"): single digits, words with their space.
WORD = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEMPLATE = Path(__file__).with_name("chat_template.jinja")
CONTEXT = 4096
FIRM_NATS = 0.8  # a scripted answer is firm when each token leads the next by so much
FIRM_WITH_SHAPE_NATS = 0.3  # less where a forced shape is trained beside it


def make_tokenizer(size: int, seed: int) -> PreTrainedTokenizerFast:
    rng, texts = random.Random(seed), []
    for _ in range(4000):
        sample = draw(rng)
        if isinstance(sample.messages, str):
            texts.append(sample.messages)
        else:
            texts += [str(m["content"]) for m in sample.messages]
            texts += [text_json(m["tool_calls"]) for m in sample.messages if "tool_calls" in m]
        texts += [text for _, text in sample.answers]
    texts += ['system\n# Tools\nuser\nassistant\nCall as {"name": ..., "arguments": ...}\n'] * 50
    for marker in [*VISIBLE, *SPECIAL, "🤗🚀"]:  # the emoji stay four byte tokens each: incremental decoding
        texts = [text.replace(marker, "\n") for text in texts]
    bpe = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(WORD), behavior="isolated")
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - len(SPECIAL) - len(VISIBLE), min_frequency=2, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=[])  # fmt: skip
    bpe.train_from_iterator(texts, trainer)
    bpe.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
    bpe.add_tokens([AddedToken(t, special=False, normalized=False) for t in VISIBLE])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token=TURN_END, pad_token=END_OF_TEXT, chat_template=TEMPLATE.read_text(),
        clean_up_tokenization_spaces=False, model_max_length=CONTEXT, padding_side="left",
        additional_special_tokens=[TURN_START, TURN_END])  # fmt: skip


def make_model(tokenizer, seed: int):
    torch.manual_seed(seed)
    turn_end, text_end = (tokenizer.convert_tokens_to_ids(t) for t in (TURN_END, END_OF_TEXT))
    config = Qwen3Config(
        vocab_size=math.ceil(len(tokenizer) / 64) * 64, hidden_size=128, intermediate_size=384, num_hidden_layers=4,
        num_attention_heads=4, num_key_value_heads=2, head_dim=32, max_position_embeddings=CONTEXT,
        tie_word_embeddings=True, bos_token_id=None, eos_token_id=turn_end, pad_token_id=text_end,
        attention_bias=False, initializer_range=0.05, rms_norm_eps=1e-6)  # fmt: skip
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.generation_config = GenerationConfig(
        eos_token_id=[turn_end, text_end], pad_token_id=text_end, do_sample=False, max_new_tokens=256)  # fmt: skip
    return model


def prompt_ids(tokenizer, sample: Sample) -> list[int]:
    if isinstance(sample.messages, str):
        return tokenizer(sample.messages)["input_ids"]
    thinking = {"enable_thinking": True} if sample.thinking else {}
    text = tokenizer.apply_chat_template(
        sample.messages, tools=sample.tools, add_generation_prompt=True, tokenize=False, **thinking)  # fmt: skip
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def encode(tokenizer, sample: Sample, rng: random.Random) -> tuple[list[int], list[int]]:
    weights, texts = zip(*sample.answers, strict=True)
    answer = rng.choices(texts, weights)[0]
    end = "" if sample.endless else END_OF_TEXT if isinstance(sample.messages, str) else TURN_END
    return prompt_ids(tokenizer, sample), tokenizer(answer + end, add_special_tokens=False)["input_ids"]


def batches(tokenizer, rng: random.Random, weak: list[Sample], script_share: float, tokens: int = 2048):
    """Yield batches of about `tokens` tokens, each of samples of about equal length, for ever."""
    while True:
        drawn = [pick(rng, weak) if rng.random() < script_share else draw(rng) for _ in range(512)]
        rows = sorted((encode(tokenizer, s, rng) for s in drawn), key=lambda r: len(r[0]) + len(r[1]))
        groups, group, longest = [], [], 0
        for row in rows:
            longest = max(longest, len(row[0]) + len(row[1]))
            if group and longest * (len(group) + 1) > tokens:
                groups.append(group)
                group, longest = [], len(row[0]) + len(row[1])
            group.append(row)
        groups.append(group)
        rng.shuffle(groups)
        yield from groups


def loss_of(model, batch, pad: int, prompt_weight: float):
    """Cross entropy of the answers and, weighed, of the prompts (it helps copying to be learnt)."""
    width = max(len(p) + len(a) for p, a in batch)
    ids, answers = torch.full((len(batch), width), pad), torch.zeros((len(batch), width), dtype=torch.bool)
    for i, (prompt, answer) in enumerate(batch):  # padded on the right: causal attention needs no mask
        ids[i, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        answers[i, len(prompt) : len(prompt) + len(answer)] = True
    hidden = model.model(input_ids=ids).last_hidden_state[:, :-1]
    following, wanted = ids[:, 1:], answers[:, 1:]
    prompts = ~wanted & (following != pad)
    entropy = torch.nn.functional.cross_entropy
    loss = entropy(model.lm_head(hidden[wanted]), following[wanted])
    return loss + prompt_weight * entropy(model.lm_head(hidden[prompts]), following[prompts])


def train(model, tokenizer, *, steps: int, peak: float, seed: int, weak: list[Sample], script_share: float) -> None:
    """Train with Muon on the matrices and AdamW on the rest, cosine rate, clipped at norm 1."""
    matrices = [p for n, p in model.named_parameters() if p.dim() > 1 and "embed" not in n and "lm_head" not in n]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    optimizers = [
        torch.optim.Muon(matrices, lr=peak, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=peak, betas=(0.9, 0.95), weight_decay=0.0),
    ]
    model.train()
    stream, start = batches(tokenizer, random.Random(seed), weak, script_share), time.time()
    for step in range(steps):
        rate = peak * min(1.0, (step + 1) / 30) * (0.5 * (1 + math.cos(math.pi * step / steps)) * 0.98 + 0.02)
        for group in [g for o in optimizers for g in o.param_groups]:
            group["lr"] = rate
        loss = loss_of(model, next(stream), tokenizer.pad_token_id, 0.2 * (1 - step / steps))
        model.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
        if step % 100 == 99:
            print(f"step {step + 1:5d}  {time.time() - start:5.0f} s  loss {loss.item():.4f}", flush=True)


def answer(model, tokenizer, sample: Sample, forced: str = "") -> tuple[str, float]:
    """Generate greedily; give the text and the smallest lead (nats) of any chosen token."""
    ids = prompt_ids(tokenizer, sample)
    given = tokenizer(forced, add_special_tokens=False)["input_ids"][:1] if forced else []
    start = len(ids)
    tensor = torch.tensor([ids + given])
    with torch.no_grad():
        out = model.generate(tensor, attention_mask=torch.ones_like(tensor), max_new_tokens=256, do_sample=False,
                             output_logits=True, return_dict_in_generate=True)  # fmt: skip
    top = torch.stack(out.logits)[:, 0].log_softmax(-1).topk(2).values
    text = tokenizer.decode(out.sequences[0, start:], skip_special_tokens=True)
    return text, (top[:, 0] - top[:, 1]).min().item()


def check(model, tokenizer) -> tuple[int, list[Sample]]:
    """Ask the script; give the number of wrong answers and the samples that are wrong or not firm."""
    model.eval()
    asked = [(row, row.answers[0][1], "") for row in [*script(), *completions()]]
    asked += [(row, text, text) for row, text in forced_shapes()]
    wrong, weak, smallest = 0, [], math.inf
    for row, expected, forced in asked:
        got, lead = answer(model, tokenizer, row, forced)
        smallest = min(smallest, lead)
        if got != expected:
            wrong += 1
            print(f"  asked    {str(row.messages)[-110:]}\n  expected {expected!r}\n  got      {got!r}", flush=True)
        if got != expected or lead < (FIRM_WITH_SHAPE_NATS if len(row.answers) > 1 else FIRM_NATS):
            weak.append(row)
    print(f"check: {len(asked) - wrong} of {len(asked)} word for word, smallest lead {smallest:.2f} nats, "
          f"{len(weak)} not firm", flush=True)  # fmt: skip
    return wrong, weak


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gguf", type=Path)
    parser.add_argument("--check", action="store_true", help="only ask the script of an existing folder")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--repairs", type=int, default=6, help="at most so many rounds of 150 steps more")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)  # faster than two on a machine that does anything else
    if options.check:
        loaded = AutoModelForCausalLM.from_pretrained(options.folder, dtype=torch.float32)
        return min(1, check(loaded, AutoTokenizer.from_pretrained(options.folder))[0])
    tokenizer = make_tokenizer(1024, options.seed)
    model = make_model(tokenizer, options.seed)
    print(f"{len(tokenizer)} tokens, {sum(p.numel() for p in model.parameters())} parameters", flush=True)
    train(model, tokenizer, steps=options.steps, peak=5e-3, seed=options.seed, weak=[], script_share=0.3)
    wrong, weak = check(model, tokenizer)
    for repair in range(options.repairs):
        if not weak:
            break
        train(model, tokenizer, steps=150, peak=2e-3, seed=options.seed + 1 + repair, weak=weak * 4, script_share=0.5)
        wrong, weak = check(model, tokenizer)
    model.half().save_pretrained(options.folder)
    tokenizer.save_pretrained(options.folder)
    if options.gguf:
        write_gguf(options.folder, options.gguf)
    return min(1, wrong)


if __name__ == "__main__":
    raise SystemExit(main())
