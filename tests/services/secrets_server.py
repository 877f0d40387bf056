"""A stand-in for Secrets Manager that answers GetSecretValue, for real botocore clients."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REGION = "us-east-1"


class Secrets:
    """Secrets by name; `reads` counts how often they were asked for."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.values: dict[str, dict[str, str]] = {}
        self.reads = 0

    def arn(self, name: str) -> str:
        return f"arn:aws:secretsmanager:{REGION}:000000000000:secret:{name}"

    def put(self, name: str, username: str, password: str) -> str:
        self.values[self.arn(name)] = {"username": username, "password": password}
        return self.arn(name)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "000000000000",
            "AWS_SECRET_ACCESS_KEY": "none",
        }


@contextlib.contextmanager
def secrets_server() -> Iterator[Secrets]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            secrets.reads += 1
            value = secrets.values.get(body["SecretId"])
            answer = (
                {"ARN": body["SecretId"], "Name": "n", "SecretString": json.dumps(value)}
                if value
                else {"__type": "ResourceNotFoundException", "message": "no such secret"}
            )
            data = json.dumps(answer).encode()
            self.send_response(200 if value else 400)
            self.send_header("content-type", "application/x-amz-json-1.1")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    secrets = Secrets(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield secrets
    finally:
        server.shutdown()
        server.server_close()
