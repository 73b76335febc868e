"""A registry with one small image, by whatever name, for who shows the right name and password.

The argument is that, as `name:password`; the first line of the output is the port. Ends with its input.
"""

import base64
import gzip
import hashlib
import io
import json
import os
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BLOBS = {}
PROGRAMS = "sh cat ls env echo printf grep test stat mkdir touch sleep"
OCI = "application/vnd.oci.image"


def layer() -> bytes:
    """The root of the image: a shell and small programs."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", dereference=True) as tar:
        tar.add("/usr/bin/busybox", "bin/busybox")
        for program in PROGRAMS.split():
            link = tarfile.TarInfo(f"bin/{program}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        users = b"root:x:0:0::/root:/bin/sh\n"
        entry = tarfile.TarInfo("etc/passwd")
        entry.size = len(users)
        tar.addfile(entry, io.BytesIO(users))
        for name in ("tmp", "root"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(entry)
    return made.getvalue()


def kept(content: bytes, kind: str) -> dict:
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    BLOBS[digest] = content
    return {"mediaType": f"{OCI}.{kind}", "size": len(content), "digest": digest}


def manifest() -> bytes:
    tar = layer()
    whole = f"sha256:{hashlib.sha256(tar).hexdigest()}"
    config = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
        "os": "linux",
        "config": {"Cmd": ["/bin/sleep", "600"]},
        "rootfs": {"type": "layers", "diff_ids": [whole]},
    }
    made = {
        "schemaVersion": 2,
        "mediaType": f"{OCI}.manifest.v1+json",
        "config": kept(json.dumps(config).encode(), "config.v1+json"),
        "layers": [kept(gzip.compress(tar), "layer.v1.tar+gzip")],
    }
    return json.dumps(made).encode()


class Registry(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    manifest = b""
    wanted = ""

    def log_message(self, *_words) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        name = self.path.rsplit("/", 1)[-1]
        if self.headers.get("authorization") != self.wanted:
            self.answer(401, b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}')
        elif "/manifests/" in self.path:
            self.answer(200, self.manifest, f"{OCI}.manifest.v1+json")
        elif name in BLOBS:
            self.answer(200, BLOBS[name], "application/octet-stream")
        else:
            self.answer(200 if self.path == "/v2/" else 404, b"{}")

    do_HEAD = do_GET

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="test"')
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def main() -> None:
    Registry.manifest = manifest()
    Registry.wanted = "Basic " + base64.b64encode(sys.argv[1].encode()).decode()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()
    os._exit(0)


main()
