"""The onboarding workflow: three consumers work on one event, and the credits must come after the profile."""

from __future__ import annotations

from synthmon.demo.faults import Board
from synthmon.demo.functions import Again, Dependencies, Event, Following, Function, Skip
from synthmon.demo.rows import Row, Rows

BASE_CREDITS = 10
PLAN_BONUS: dict[str, int] = {"free": 0, "plus": 15}
LATE_MS = 250.0


class Signups:
    """Profile, credits and welcome mail; see ``Orders`` for how functions are written."""

    def __init__(self, rows: Rows, dependencies: Dependencies, board: Board) -> None:
        self._rows = rows
        self._dependencies = dependencies
        self._board = board

    def functions(self) -> tuple[Function, ...]:
        return (
            Function("profile", "onboarding", "profile-created", "signups.created", "profile-db", self.create_profile),
            Function("credits", "onboarding", "credits-granted", "signups.created", "grants", self.grant_credits),
            Function("welcome", "onboarding", "welcome-sent", "signups.created", "smtp", self.welcome),
        )

    async def create_profile(self, event: Event) -> tuple[Following, ...]:
        late_ms = LATE_MS if self._board.strikes("swap-order", "profile") else 0.0
        await self._dependencies.call(event, "profile-db", 5 + late_ms)
        signup = self._signup(event)
        self._rows.profiles.write({**_of(signup, event), "name": signup["name"], "plan": signup["plan"]})
        return ()

    async def grant_credits(self, event: Event) -> tuple[Following, ...]:
        """The bonus depends on the plan in the profile, so this waits for it, unless that guard is broken."""
        await self._dependencies.call(event, "grants", 25)
        signup = self._signup(event)
        profiles = self._rows.profiles.find(signupId=signup["id"])
        if not profiles and not self._board.on("swap-order"):
            raise Again("the profile is not there yet")
        bonus = PLAN_BONUS[profiles[0]["plan"]] if profiles else 0
        self._rows.credits.write({**_of(signup, event), "amount": BASE_CREDITS + bonus, "bonus": bonus})
        return ()

    async def welcome(self, event: Event) -> tuple[Following, ...]:
        await self._dependencies.call(event, "smtp", 8)
        signup = self._signup(event)
        self._rows.mails.write(
            {
                **_of(signup, event),
                "kind": "welcome",
                "to": signup["email"],
                "subject": f"Welcome, {signup['name']}",
                "text": "Your account is ready.",
            }
        )
        return ()

    def _signup(self, event: Event) -> Row:
        signup = self._rows.signups.get(str(event.payload.get("signupId", "")))
        if signup is None:
            raise Skip("the sign-up was deleted")
        return signup


def _of(signup: Row, event: Event) -> Row:
    return {"signupId": signup["id"], "reference": signup["reference"], "correlationId": event.correlation.id}
