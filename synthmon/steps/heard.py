"""What all steps that listen have in common: the names that messages offer, and how messages are shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from synthmon.core.messages import Message, complaint, excerpt, names_of


class Heard(ABC):
    """The part of a spec that is the same whatever is listened to (`core.journey.Spec`)."""

    __slots__ = ()

    @property
    def effect(self) -> bool:
        """It changes nothing."""
        return False

    def see(self, request: Any, answer: Sequence[Message]) -> Mapping[str, Any]:
        """The names that `where`, `expect` and `save` may use."""
        return names_of(answer)

    @abstractmethod
    def describe(self, request: Any, answer: Sequence[Message] | None) -> str:
        """One line for a person: where it listened, and `→ a message` when one came."""

    def complaint(self, request: Any, answer: Sequence[Message] | None) -> str:
        """What is wrong with a message that lacks a part which checks read."""
        return complaint(answer or ())

    def excerpt(self, request: Any, answer: Sequence[Message] | None) -> tuple[str, str]:
        """Where it listened, and what came."""
        return self.describe(request, None), excerpt(answer or ())
