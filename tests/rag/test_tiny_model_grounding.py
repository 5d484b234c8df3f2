"""A real language model that is wrong most of the time, and what of it reaches the asker."""

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace

import httpx
import pytest_asyncio
from pydantic import SecretStr

from rag.access import Principal
from rag.adapters.onnx_embedder import OnnxEmbedder
from rag.adapters.openai_compatible import OpenAICompatibleModel
from rag.answering import Answerer, AskEvent, Finished, SentenceJudged, TextReleased
from rag.grounding import SUPPORTED, GroundingCheck
from rag.prompts.registry import Prompt, load_prompt
from rag.protocols import Completion, GroundedPrompt, LanguageModel
from rag.statements import statements_of
from rag.packing import pack_evidence
from rag.testing import FixedRetriever
from rag.types import Answer, Refusal
from tests.model_server import MODEL_NAME, ModelServer
from tests.values import ACME, hit

PASSAGES = (
    hit("The intake filter of the pump AP-450X is changed every 14 days.", document="manual"),
    hit("Night work is paid a supplement of 25 percent.", document="agreement"),
    hit("The canteen in Aldermoor opens at 11:30. It serves lunch until 14:00.", document="canteen"),
)
QUESTIONS = (
    "How often is the intake filter of the AP-450X changed?",
    "What is the supplement for night work?",
    "When does the canteen open?",
    "Who is the head of the canteen?",
    "What is the warranty of the pump AP-450X?",
    "Until when is lunch served?",
)
ASKER = Principal(ACME, "ada")


@dataclass(frozen=True, slots=True)
class Brief:
    """A model that is stopped after a few sentences."""

    inner: LanguageModel
    max_output_tokens: int = 48

    @property
    def name(self) -> str:
        return self.inner.name

    def stream(self, prompt: GroundedPrompt) -> AsyncGenerator[str | Completion]:
        return self.inner.stream(replace(prompt, max_output_tokens=self.max_output_tokens))

    async def aclose(self) -> None:
        await self.inner.aclose()
