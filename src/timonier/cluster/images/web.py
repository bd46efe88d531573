"""The demo's web application: a page that says which pod answered, and which version it is."""

from __future__ import annotations

from timonier.cluster.images.archive import File, Image
from timonier.cluster.images.busybox import busybox

PORT = 8080
PAGE = """\
#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
echo "Hello from $(hostname), version $VERSION"
"""
SERVE = f"""\
#!/bin/sh
# As process 1, a shell gets SIGTERM only if it asks for it.
trap 'exit 0' TERM
httpd -f -p {PORT} -h /www &
wait
"""


def web(version: str) -> Image:
    """`timonier.local/web:VERSION`, listening on port 8080."""
    files = {"/www/cgi-bin/index.cgi": File(PAGE.encode(), 0o755), "/serve": File(SERVE.encode(), 0o755)}
    return busybox(f"timonier.local/web:{version}", files=files, entrypoint=["/serve"], command=(),
                   env={"VERSION": version})
