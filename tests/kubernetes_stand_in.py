"""A stand-in for the API of Kubernetes: a pod is a process in a folder of its own, a volume a folder beside it."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

__all__ = ["StandIn", "stand_in"]

KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "stand-in",
    "users": [{"name": "nobody", "user": {}}],
    "contexts": [{"name": "stand-in", "context": {"cluster": "stand-in", "user": "nobody"}}],
}


class StandIn(ThreadingHTTPServer):
    """Secrets are taken and forgotten; a job is started at once and has succeeded when its process has."""

    daemon_threads = True

    def __init__(self, folder: Path, environment: dict[str, str]):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.environment = folder, environment
        self.submitted: list[dict[str, Any]] = []
        self.pods: dict[str, subprocess.Popen] = {}

    def configuration(self) -> Path:
        """A file for the environment variable KUBECONFIG."""
        cluster = {"name": "stand-in", "cluster": {"server": f"http://127.0.0.1:{self.server_port}"}}
        path = self.folder / "kubeconfig"
        path.write_text(json.dumps(KUBECONFIG | {"clusters": [cluster]}))
        return path

    def start(self, job: dict[str, Any]) -> None:
        """Run the container's command where nothing is but what it brings, with PYTHONPATH as in the image."""
        self.submitted.append(job)
        container = self.container(job)
        workdir = self.folder / f"pod{len(self.submitted)}"
        workdir.mkdir()
        with (self.folder / f"pod{len(self.submitted)}.log").open("wb") as log:
            self.pods[job["metadata"]["name"]] = subprocess.Popen(
                [*container["command"], *container["args"]],
                cwd=workdir,
                env=self.environment | {"PYTHONPATH": str(workdir)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @staticmethod
    def container(job: dict[str, Any]) -> dict[str, Any]:
        """The specification of the job's one container."""
        return job["spec"]["template"]["spec"]["containers"][0]

    def logs(self) -> str:
        """What all pods wrote."""
        return "\n".join(path.read_text() for path in sorted(self.folder.glob("pod*.log")))


class _Handler(BaseHTTPRequestHandler):
    server: StandIn

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.endswith("/jobs"):
            self.server.start(body)
        self._answer(body, 201)

    def do_GET(self) -> None:
        if "/jobs/" not in self.path:
            return self._answer({"kind": "PodList", "items": []})
        code = self.server.pods[self.path.split("/")[-2]].poll()
        status = {} if code is None else {"failed": 1} if code else {"succeeded": 1}
        self._answer({"kind": "Job", "status": status})

    def do_DELETE(self) -> None:
        self._answer({"kind": "Status", "status": "Success"})

    def _answer(self, data: dict[str, Any], code: int = 200) -> None:
        text = json.dumps(data).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Nothing: the server is quiet."""


@contextmanager
def stand_in(folder: Path, environment: dict[str, str] | None = None) -> Iterator[StandIn]:
    """Serve until the block ends; pods that still run are killed then."""
    with StandIn(folder, environment or dict(os.environ)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
            for pod in server.pods.values():
                pod.kill()
                pod.wait()
