"""Stand-ins for the public images that the training documents use: same names and ports, made from busybox."""

from __future__ import annotations

from collections.abc import Iterable

from timonier.cluster.images.archive import File, Image
from timonier.cluster.images.busybox import busybox

SERVE = "#!/bin/sh\ntrap 'exit 0' TERM\n{before}\nhttpd -f -p {port} -h /www &\nwait\n"
MYSQL = """\
#!/bin/sh
trap 'exit 0' TERM
test -n "$MYSQL_ROOT_PASSWORD" || exit 1
touch /var/lib/mysql/ibdata1
while true; do nc -l -p 3306 -e cat; done &
wait
"""
BASH = File(b'#!/bin/sh\nexec /bin/sh "$@"\n', 0o755)
CURL = File(b'#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\nexec timeout 5 wget -q -O - "$1"\n', 0o755)


def server(name: str, page: str, *, port: int = 80, before: str = "", files: dict[str, File] | None = None) -> Image:
    """An image that serves one page by HTTP and ends at SIGTERM."""
    own = {"/www/index.html": File(page.encode()), "/bin/bash": BASH, "/bin/curl": CURL,
           "/serve": File(SERVE.format(before=before, port=port).encode(), 0o755)}
    return busybox(name, files=own | (files or {}), command=["/serve"])


def nginx(tag: str) -> Image:
    number = tag if tag[0].isdigit() else "1.25.0"
    version = File(f'#!/bin/sh\necho "nginx version: nginx/{number}" >&2\n'.encode(), 0o755)
    return server(f"docker.io/library/nginx:{tag}", "<h1>Welcome to nginx!</h1>\n", files={"/bin/nginx": version})


def vote(tag: str) -> Image:
    return server(f"docker.io/instavote/vote:{tag}", f"<title>Cats vs Dogs!</title> vote {tag}\n")


def all_images() -> Iterable[Image]:
    """Every image that the documents' manifests name."""
    yield from (nginx(tag) for tag in ("latest", "1.12.2", "1.14.2"))
    yield from (vote(tag) for tag in ("latest", "indent", "movies"))
    yield server("docker.io/library/wordpress:4.9-apache", "<title>WordPress</title>\n",
                 before='echo "database at $WORDPRESS_DB_HOST"')
    yield busybox("docker.io/library/mysql:5.7", files={"/serve": File(MYSQL.encode(), 0o755)}, command=["/serve"])
    for name in ("alpine:latest", "busybox:latest"):
        yield busybox(f"docker.io/library/{name}", files={"/bin/curl": CURL})
