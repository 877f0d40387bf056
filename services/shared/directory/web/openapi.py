"""The OpenAPI documents of the two JSON interfaces."""

from __future__ import annotations

from typing import Any

from directory.domain.listing import DEFAULT_SIZE, MAX_PAGE, MAX_SEARCH, MAX_SIZE
from directory.domain.model import FIELDS, LENGTHS, MAX_ID, SORTS, Directory

Json = dict[str, Any]


def _problem(description: str, *, headers: Json | None = None) -> Json:
    answer: Json = {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if headers:
        answer["headers"] = headers
    return answer


_ETAG: Json = {
    "ETag": {"description": "The version of the entry.", "schema": {"type": "string"}, "required": True}
}
_RETRY: Json = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}, "required": True}}


def document(directory: Directory, *, admin: bool, path: str) -> Json:
    """The readers' or the employees' interface of one directory."""
    noun = directory.singular.capitalize()
    entry: Json = {"$ref": f"#/components/schemas/{noun}"}
    base = (directory.editors if admin else directory.readers).api

    def answers(*problems: int, **successes: Json) -> Json:
        texts = {
            400: "The body is not JSON, or a header is malformed.",
            403: "The request comes from another site.",
            404: f"There is no such {directory.singular}.",
            409: f"Somebody else changed the {directory.singular} to something else: both versions.",
            413: "The body is larger than 64 KiB.",
            415: "The body is not application/json.",
            422: "What was sent breaks a rule: the errors by field.",
            428: "If-Match is missing.",
            500: "An error that was recorded.",
            503: "The database is not available.",
        }
        found: Json = {name.removeprefix("status_"): success for name, success in successes.items()}
        for status in (*problems, 500, 503):
            headers = _RETRY if status == 503 else _ETAG if status == 409 else None
            found[str(status)] = _problem(texts[status], headers=headers)
        return found

    def success(description: str, schema: Json, *, headers: Json | None = None) -> Json:
        answer: Json = {"description": description, "content": {"application/json": {"schema": schema}}}
        if headers:
            answer["headers"] = headers
        return answer

    id_parameter: Json = {
        "name": "id",
        "in": "path",
        "required": True,
        "schema": {"type": "integer", "minimum": 0, "maximum": MAX_ID},
    }
    if_match: Json = {
        "name": "If-Match",
        "in": "header",
        "required": False,
        "description": "The ETag that was read, or *.",
        "schema": {"type": "string"},
    }
    if_none_match: Json = {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
    }
    body: Json = {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{noun}Fields"}}},
    }
    one: Json = {
        "get": {
            "operationId": f"get{noun}",
            "summary": f"One {directory.singular}",
            "parameters": [id_parameter, if_none_match],
            "responses": answers(
                404,
                status_200=success(f"The {directory.singular}.", entry, headers=_ETAG),
                status_304={"description": "Unchanged.", "headers": _ETAG},
            ),
        }
    }
    many: Json = {
        "get": {
            "operationId": f"list{directory.plural.capitalize()}",
            "summary": "A page of the directory",
            "parameters": [
                {
                    "name": "q",
                    "in": "query",
                    "description": "Beginnings of words of the name, city, state or email.",
                    "schema": {"type": "string", "maxLength": MAX_SEARCH},
                },
                {
                    "name": "page",
                    "in": "query",
                    "schema": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": 1},
                },
                {
                    "name": "size",
                    "in": "query",
                    "schema": {"type": "integer", "minimum": 1, "maximum": MAX_SIZE, "default": DEFAULT_SIZE},
                },
                {
                    "name": "sort",
                    "in": "query",
                    "schema": {
                        "type": "string",
                        "enum": [*SORTS, *(f"-{field}" for field in SORTS)],
                        "default": "name",
                    },
                },
            ],
            "responses": answers(
                422, status_200=success("The page.", {"$ref": f"#/components/schemas/{noun}Page"})
            ),
        }
    }
    if admin:
        many["post"] = {
            "operationId": f"create{noun}",
            "summary": f"Add a {directory.singular}",
            "parameters": [
                {
                    "name": "Idempotency-Key",
                    "in": "header",
                    "required": False,
                    "description": "A retry with the same key and body makes nothing new and answers the same.",
                    "schema": {"type": "string", "maxLength": 200},
                }
            ],
            "requestBody": body,
            "responses": answers(
                400,
                403,
                413,
                415,
                422,
                status_201=success(
                    "Added.",
                    entry,
                    headers={
                        **_ETAG,
                        "Location": {"schema": {"type": "string"}, "required": True},
                    },
                ),
            ),
        }
        one["put"] = {
            "operationId": f"replace{noun}",
            "summary": f"Change a {directory.singular}",
            "parameters": [id_parameter, if_match],
            "requestBody": body,
            "responses": answers(
                400,
                403,
                404,
                409,
                413,
                415,
                422,
                428,
                status_200=success("Changed.", entry, headers=_ETAG),
            ),
        }
        one["delete"] = {
            "operationId": f"delete{noun}",
            "summary": f"Delete a {directory.singular}",
            "parameters": [id_parameter, if_match],
            "responses": answers(403, 404, 409, status_204={"description": "Deleted."}),
        }
    text_fields = {field: {"type": "string", "minLength": 1, "maxLength": LENGTHS[field]} for field in FIELDS}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"{directory.plural.capitalize()} {'administration' if admin else 'directory'}",
            "version": "1.0.0",
        },
        "servers": [{"url": "/"}],
        "paths": {
            base: many,
            f"{base}/{{id}}": one,
            path: {
                "get": {
                    "operationId": "getOpenapi",
                    "summary": "This document",
                    "responses": {
                        "200": {
                            "description": "OpenAPI.",
                            "content": {"application/json": {"schema": {"type": "object"}}},
                        }
                    },
                }
            },
        },
        "components": {
            "schemas": {
                f"{noun}Fields": {
                    "type": "object",
                    "properties": {"id": {"type": "integer", "description": "Ignored."}, **text_fields},
                    "required": list(FIELDS),
                    "additionalProperties": False,
                },
                noun: {
                    "type": "object",
                    "properties": {
                        "id": {"type": "integer"},
                        **{field: {"type": "string"} for field in FIELDS},
                    },
                    "required": ["id", *FIELDS],
                    "additionalProperties": False,
                },
                f"{noun}Page": {
                    "type": "object",
                    "properties": {
                        "items": {"type": "array", "items": entry},
                        "page": {"type": "integer"},
                        "size": {"type": "integer"},
                        "total": {"type": "integer", "description": "A lower bound unless total_is_exact."},
                        "total_is_exact": {"type": "boolean"},
                        "more": {"type": "boolean"},
                        "stale": {
                            "type": "boolean",
                            "description": "The database is away: the list as it was.",
                        },
                    },
                    "required": ["items", "page", "size", "total", "total_is_exact", "more", "stale"],
                    "additionalProperties": False,
                },
                "Problem": {
                    "type": "object",
                    "properties": {
                        "type": {"type": "string"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                        "errors": {"type": "object", "additionalProperties": {"type": "string"}},
                        "current": entry,
                        "submitted": entry,
                    },
                    "required": ["type", "title", "status", "detail"],
                    "additionalProperties": False,
                },
            }
        },
    }
