"""The HTTP side: two verbs for events, one path for health."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

from fastapi import FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse

from libraryevents.events import GENERATED_IDS_FROM, EventType, InvalidEvent, LibraryEvent
from libraryevents.producer.recovery import Recovery
from libraryevents.producer.service import LibraryEventsService

log = logging.getLogger(__name__)
NO_ID = "Please pass the libraryEventId: an UPDATE is for an event that has one"
IdempotencyKey = Annotated[
    str | None, Header(description="The same for every try of one request.", max_length=200)
]
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def application(service: LibraryEventsService, recovery: Recovery, lifespan: Lifespan) -> FastAPI:
    """The FastAPI application around a service."""
    app = FastAPI(title="library-events", lifespan=lifespan)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(InvalidEvent, _invalid_event)
    app.add_exception_handler(Exception, _not_accepted)

    @app.post("/v1/libraryevent", status_code=201)
    async def post_event(event: LibraryEvent, idempotency_key: IdempotencyKey = None) -> LibraryEvent:
        """Publish a NEW event."""
        new = event.as_type(EventType.NEW)
        if new.libraryEventId is not None and new.libraryEventId >= GENERATED_IDS_FROM:
            raise InvalidEvent(
                f"libraryEventId of a NEW event must be below {GENERATED_IDS_FROM}: leave it out to get one"
            )
        await service.accept(new, event_id=idempotency_key or str(uuid.uuid4()))
        return new

    @app.put("/v1/libraryevent")
    async def put_event(event: LibraryEvent, idempotency_key: IdempotencyKey = None) -> LibraryEvent:
        """Publish an UPDATE event."""
        if event.libraryEventId is None:
            raise InvalidEvent(NO_ID)
        update = event.as_type(EventType.UPDATE)
        await service.accept(update, event_id=idempotency_key or str(uuid.uuid4()))
        return update

    @app.get("/health")
    async def health(response: Response) -> dict[str, Any]:
        """UP if an event could be kept now; with what waits for a retry."""
        try:
            return {"status": "UP", "recovery": await recovery.counts()}
        except Exception as error:
            log.exception("the recovery is not available")
            response.status_code = 503
            return {"status": "DOWN", "recovery": type(error).__name__}

    return app


async def _invalid_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    told = [
        f"{'.'.join(str(part) for part in one['loc'][1:]) or 'body'} - {one['msg']}" for one in error.errors()
    ]
    return PlainTextResponse(", ".join(sorted(told)), status_code=400)


async def _invalid_event(_: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), status_code=400)


async def _not_accepted(_: Request, error: Exception) -> Response:
    return JSONResponse(
        {"error": f"the event was not accepted ({type(error).__name__}): send it again"}, status_code=503
    )
