"""The same three requests for locust, with the same checks. It keeps its connections, which synthmon does not."""

from __future__ import annotations

from typing import Any

from locust import FastHttpUser, constant, task  # type: ignore[import-not-found]  # a peer, not a dependency


class Customer(FastHttpUser):  # type: ignore[misc]
    """Orders, waits until it is done, looks at it."""

    wait_time = constant(0)

    @task  # type: ignore[untyped-decorator]
    def order(self) -> None:
        body = {"item": "sku-1", "qty": 2, "reference": "locust"}
        with self.client.post("/orders?ms=0", json=body, catch_response=True) as answer:
            _check(answer, answer.status_code == 202 and answer.json()["status"] == "pending")
            made = answer.json()["id"]
        for _ in range(50):
            with self.client.get(f"/orders/{made}", name="/orders/done", catch_response=True) as answer:
                _check(answer, answer.status_code == 200)
                if answer.json()["status"] == "done":
                    break
        with self.client.get(f"/orders/{made}", name="/orders/shown", catch_response=True) as answer:
            _check(answer, answer.status_code == 200 and answer.json()["total"] == 42.5)


def _check(answer: Any, ok: bool) -> None:
    if not ok:
        answer.failure("not as expected")
