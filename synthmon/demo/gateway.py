"""The shop's HTTP door: writes are taken with 202, and every effect can be read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from synthmon.demo.answers import OnceOnly, Refused, asked, read_bytes, read_object, refusal
from synthmon.demo.correlation import at_the_door
from synthmon.demo.desk import SERVICE, Desk
from synthmon.demo.faults import Board, UnknownFault
from synthmon.demo.orders import PRICES, Stock
from synthmon.demo.rows import Memory, Row, Rows, Table

_MOST_ROWS = 200
_MOST_NOTES = 500
Health = Callable[[], dict[str, object]]


def build_gateway(rows: Rows, stock: Stock, desk: Desk, board: Board, health: Health) -> Starlette:
    """The application; ``health`` tells ``{"status": "ok" | …, …}`` (anything but ok is answered with 503)."""
    once = OnceOnly()
    reads = _Reads(rows, stock, board)
    control = _Control(board)

    async def place_order(request: Request) -> Response:
        body = await read_bytes(request)

        async def make() -> Response:
            order = await desk.place_order(read_object(body), at_the_door(request.headers))
            return _accepted(order, f"/orders/{order['id']}")

        return await once.answer(request, body, make)

    async def sign_up(request: Request) -> Response:
        body = await read_bytes(request)

        async def make() -> Response:
            signup = await desk.sign_up(read_object(body), at_the_door(request.headers))
            return _accepted({**signup, "status": "created"}, f"/signups/{signup['id']}")

        return await once.answer(request, body, make)

    async def delete_order(request: Request) -> Response:
        desk.delete_order(request.path_params["id"])
        return Response(status_code=204)

    async def delete_signup(request: Request) -> Response:
        desk.delete_signup(request.path_params["id"])
        return Response(status_code=204)

    async def healthz(_: Request) -> Response:
        told = health()
        return JSONResponse(told, 200 if told["status"] == "ok" else 503)

    return Starlette(
        routes=[
            Route("/orders", place_order, methods=["POST"]),
            Route("/orders", reads.found("orders", rows.orders)),
            Route("/orders/{id}", reads.order),
            Route("/orders/{id}", delete_order, methods=["DELETE"]),
            Route("/payments", reads.payments),
            Route("/ledger", reads.found("entries", rows.ledger)),
            Route("/shipments", reads.found("shipments", rows.shipments)),
            Route("/mails", reads.found("mails", rows.mails, {"to": "to", "reference": "reference"})),
            Route("/catalogue", reads.catalogue),
            Route("/stock/{sku}", reads.stock),
            Route("/signups", sign_up, methods=["POST"]),
            Route("/signups", reads.found("signups", rows.signups)),
            Route("/signups/{id}", reads.signup),
            Route("/signups/{id}", delete_signup, methods=["DELETE"]),
            Route("/profiles", reads.found("profiles", rows.profiles)),
            Route("/credits", reads.found("credits", rows.credits)),
            Route("/events", reads.events),
            Route("/effects", reads.effects),
            Route("/healthz", healthz),
            Route("/_demo/faults", control.list),
            Route("/_demo/faults/{name}", control.break_, methods=["POST"]),
            Route("/_demo/faults/{name}", control.mend, methods=["DELETE"]),
        ],
        exception_handlers={
            Refused: _refused,
            HTTPException: _http_error,
            Exception: _broken,
        },
    )


class _Reads:
    """One reader for every effect. Lists are oldest first, at most the newest 200."""

    def __init__(self, rows: Rows, stock: Stock, board: Board) -> None:
        self._rows = rows
        self._stock = stock
        self._board = board
        self._last_stock: Memory[Row] = Memory(keep=100, keep_s=86_400)

    def found(
        self, plural: str, table: Table, keys: Mapping[str, str] | None = None
    ) -> Callable[[Request], Awaitable[JSONResponse]]:
        """Answers ``?<key>=`` with ``{"<plural>": […], "count": n}``; the first key that is given counts."""
        known = keys or {"reference": "reference"}

        async def answer(request: Request) -> JSONResponse:
            key = next((key for key in known if request.query_params.get(key)), next(iter(known)))
            return _listed(plural, table.find(**{known[key]: asked(request, key)}), _MOST_ROWS)

        return answer

    async def order(self, request: Request) -> JSONResponse:
        order = self._rows.orders.get(request.path_params["id"])
        if order is None:
            raise Refused(404, "not_found", f"there is no order {request.path_params['id']}")
        return JSONResponse(order)

    async def signup(self, request: Request) -> JSONResponse:
        signup = self._rows.signups.get(request.path_params["id"])
        if signup is None:
            raise Refused(404, "not_found", f"there is no sign-up {request.path_params['id']}")
        profiles = self._rows.profiles.find(signupId=signup["id"])
        credit = self._rows.credits.find(signupId=signup["id"])
        return JSONResponse(
            {
                **signup,
                "status": "active" if profiles and credit else "created",
                "profile": profiles[0] if profiles else None,
                "credits": credit[0] if credit else None,
            }
        )

    async def payments(self, request: Request) -> JSONResponse:
        reference = asked(request, "reference")
        if self._board.strikes("error-body", SERVICE):
            return JSONResponse({"error": {"code": "PSP_UNREACHABLE", "message": "try again later"}, "payments": []})
        return _listed("payments", self._rows.payments.find(reference=reference), _MOST_ROWS)

    async def catalogue(self, _: Request) -> JSONResponse:
        return JSONResponse({"products": [{"sku": sku, "price": str(price)} for sku, price in PRICES.items()]})

    async def stock(self, request: Request) -> JSONResponse:
        sku = request.path_params["sku"]
        if sku not in PRICES:
            raise Refused(404, "not_found", f"nothing is sold as {sku}")
        last = self._last_stock.get(sku)
        if last is not None and self._board.strikes("stale-cache", SERVICE):
            return JSONResponse(last)
        fresh = self._stock.view(sku)
        self._last_stock.put(sku, fresh)
        return JSONResponse(fresh)

    async def events(self, request: Request) -> JSONResponse:
        return _listed("events", self._rows.notes.find(correlationId=asked(request, "correlation")), _MOST_NOTES)

    async def effects(self, request: Request) -> JSONResponse:
        """Rows ever written and rows still there, by kind; ``?reference=`` narrows the second to one reference."""
        tables = self._rows.tables()
        reference = request.query_params.get("reference")
        return JSONResponse(
            {
                "written": {t.kind: t.written for t in tables},
                "kept": {t.kind: len(t.find(reference=reference)) if reference else len(t) for t in tables},
            }
        )


class _Control:
    """Switches the faults; a real shop would not have this door."""

    def __init__(self, board: Board) -> None:
        self._board = board

    async def list(self, _: Request) -> JSONResponse:
        return JSONResponse({"faults": self._board.listing()})

    async def break_(self, request: Request) -> JSONResponse:
        body = await read_bytes(request)
        rate = (read_object(body) if body.strip() else {}).get("rate")
        if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float)):
            raise Refused(400, "bad_request", "rate must be a number between 0 and 1")
        try:
            self._board.break_(request.path_params["name"], rate)
        except UnknownFault as exc:
            raise Refused(404, "not_found", str(exc)) from exc
        except ValueError as exc:
            raise Refused(400, "bad_request", str(exc)) from exc
        return await self.list(request)

    async def mend(self, request: Request) -> JSONResponse:
        try:
            self._board.mend(request.path_params["name"])
        except UnknownFault as exc:
            raise Refused(404, "not_found", str(exc)) from exc
        return await self.list(request)


def _accepted(row: Row, location: str) -> JSONResponse:
    return JSONResponse(row, 202, {"location": location, "x-correlation-id": row["correlationId"]})


def _listed(plural: str, found: list[Row], most: int) -> JSONResponse:
    return JSONResponse({plural: found[-most:], "count": len(found)})


def _refused(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, Refused)
    return refusal(exc.status, exc.code, exc.reason)


def _http_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(exc.status_code, "refused")
    return refusal(exc.status_code, code, f"{request.method} {request.url.path}: {exc.detail}")


def _broken(_: Request, exc: Exception) -> Response:
    return refusal(500, "broken", f"the gateway failed: {type(exc).__name__}")
