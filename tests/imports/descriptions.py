"""Descriptions of APIs: a shop in YAML (3.0), pets in JSON (3.1), the demo shop, and one full of traps."""

from __future__ import annotations

import json

SHOP = """
openapi: 3.0.3
info: {title: Shop, version: "1"}
servers: [{url: "https://api.shop.example.com/{version}", variables: {version: {default: v2}}}]
security: [{key: []}]
paths:
  /orders:
    get:
      tags: [orders]
      responses:
        200:
          description: ok
          content:
            application/json:
              schema: {type: object, properties: {items: {type: array, items: {$ref: "#/components/schemas/Order"}}}}
    post:
      tags: [orders]
      summary: Place an order
      operationId: placeOrder
      parameters: [{name: Idempotency-Key, in: header, schema: {type: string}}]
      requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/NewOrder"}}}}
      responses:
        202: {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/Order"}}}}
  /orders/{orderId}:
    parameters: [{name: orderId, in: path, required: true, schema: {type: string}}]
    get:
      tags: [orders]
      responses: {"200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/Order"}}}}}
    delete: {tags: [orders], responses: {"204": {description: gone}}}
    patch: {tags: [orders], responses: {"200": {description: changed}}}
  /shops/{shop}/products:
    get:
      tags: [products]
      parameters: [{name: size, in: query, required: true, schema: {type: integer, minimum: 5}}]
      responses:
        "200":
          description: ok
          content:
            application/json:
              schema: {type: array, items: {type: object, properties: {sku: {type: string}}}}
  /shops/{shop}/products/{sku}:
    get: {tags: [products], responses: {"200": {description: ok}}}
  /health:
    get: {security: [], responses: {default: {description: ok}}}
components:
  securitySchemes: {key: {type: apiKey, in: header, name: X-Api-Key}}
  schemas:
    NewOrder:
      type: object
      required: [email, sku, when, day, ref, quantity, note]
      properties:
        email: {type: string, format: email}
        sku: {type: string, enum: [mug-blue, cup]}
        when: {type: string, format: date-time}
        day: {type: string, format: date}
        ref: {type: string, format: uuid}
        quantity: {type: integer, minimum: 2}
        note: {type: string, maxLength: 5}
        parent: {$ref: "#/components/schemas/NewOrder"}
    Order:
      allOf:
        - {$ref: "#/components/schemas/NewOrder"}
        - {type: object, properties: {id: {type: string, readOnly: true}, status: {type: string}}}
"""

_PET = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "id": {"type": "integer", "format": "int64"},
        "name": {"type": "string"},
        "owner": {"type": ["string", "null"], "format": "email"},
        "weight": {"type": "number", "exclusiveMinimum": 2},
        "parents": {"type": "array", "items": {"$ref": "#/components/schemas/Pet"}},
    },
}
_JSON_PET = {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}

PETS = json.dumps(
    {
        "openapi": "3.1.0",
        "info": {"title": "Pets", "version": "1"},
        "servers": [{"url": "/api/v3"}],
        "security": [{"login": ["write:pets"]}],
        "paths": {
            "/pet": {
                "post": {
                    "tags": ["pet"],
                    "requestBody": {
                        "content": {
                            "application/json": {
                                "schema": {"$ref": "#/components/schemas/Pet"},
                                "example": {"id": 10, "name": "Rex", "owner": "jane@corp.com", "password": "hunter2"},
                            }
                        }
                    },
                    "responses": {"200": {"content": _JSON_PET}},
                },
                "put": {"tags": ["pet"], "responses": {"200": {"content": _JSON_PET}}},
            },
            "/pet/{petId}": {
                "get": {"tags": ["pet"], "responses": {"200": {"content": _JSON_PET}}},
                "delete": {"tags": ["pet"], "responses": {"200": {}}},
            },
            "/pet/{petId}/photo": {"post": {"tags": ["pet"], "responses": {"200": {}}}},
            "/user": {
                "post": {
                    "tags": ["user"],
                    "security": [{"basic": []}],
                    "requestBody": {
                        "content": {
                            "application/x-www-form-urlencoded": {
                                "schema": {"properties": {"username": {"type": "string"}, "mail": {"type": "string"}}}
                            }
                        }
                    },
                    "responses": {"default": {}},
                }
            },
            "/user/{username}": {"delete": {"tags": ["user"], "security": [{"basic": []}], "responses": {"200": {}}}},
        },
        "components": {
            "schemas": {"Pet": _PET},
            "securitySchemes": {"login": {"type": "oauth2", "flows": {}}, "basic": {"type": "http", "scheme": "basic"}},
        },
    }
)

TRAPS = """
openapi: 3.1.0
info: {title: Traps, version: "1"}
servers: [{url: "https://traps.example.org"}]
paths:
  /loops:
    post:
      requestBody: {$ref: "#/components/requestBodies/Loop"}
      responses:
        "201": {headers: {Location: {schema: {type: string}}}}
  /loops/{id}:
    get: {responses: {"200": {$ref: "other.yaml#/answer"}}}
    delete: {responses: {"204": {}}}
  /circles:
    get:
      parameters:
        - {$ref: "#/components/parameters/Round"}
        - {name: filter, in: query, required: true, content: {application/json: {}}}
        - {name: X-Trace, in: header, required: true, schema: {const: "on: ${x} #1"}}
        - {name: Host, in: header, required: true, schema: {type: string}}
      responses: {"2XX": {content: {application/json: {schema: {$ref: "#/components/schemas/Circle"}}}}}
  /odd keys/{a b}-{c}.json:
    get: {responses: {"200": {}}}
  /files:
    post: {requestBody: {content: {application/octet-stream: {}}}, responses: {"200": {}}}
components:
  parameters: {Round: {$ref: "#/components/parameters/Round"}}
  requestBodies:
    Loop: {content: {application/vnd.loop+json: {schema: {$ref: "#/components/schemas/Loop"}}}}
  schemas:
    Circle: {$ref: "#/components/schemas/Circle"}
    Loop:
      type: object
      required: [next, many, text, either]
      properties:
        next: {$ref: "#/components/schemas/Loop"}
        many: {type: array, minItems: 3, items: {$ref: "#/components/schemas/Missing"}}
        text: {type: string, default: "NO"}
        either: {oneOf: [{type: "null"}, {allOf: [{type: object, properties: {on: {type: boolean}}}]}]}
        "key: ${x} #": {type: string, example: "a: ${b} # c"}
"""

DEMO = """
openapi: 3.1.0
info: {title: Demo shop, version: "1"}
servers: [{url: "http://127.0.0.1:9870"}]
paths:
  /orders:
    post:
      requestBody:
        content:
          application/json:
            schema:
              type: object
              required: [reference, sku, quantity, name, email]
              properties:
                reference: {type: string}
                sku: {type: string, example: mug-blue}
                quantity: {type: integer}
                name: {type: string}
                email: {type: string, format: email}
      responses:
        202:
          content:
            application/json:
              schema: {type: object, properties: {id: {type: string}, reference: {type: string}}}
  /orders/{id}:
    get: {responses: {200: {content: {application/json: {schema: {properties: {id: {type: string}}}}}}}}
    delete: {responses: {204: {}}}
  /catalogue:
    get: {responses: {200: {content: {application/json: {schema: {properties: {products: {type: array}}}}}}}}
"""
