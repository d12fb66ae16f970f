"""An S3 server on loopback that holds the files of a folder in the bucket `loc`, and now and then answers 503."""

import pathlib
import sys
import threading

from moto.s3.models import s3_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple

port, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
backend = s3_backends["123456789012"]["aws"]
backend.create_bucket("loc", "us-east-1")
for file in sorted(path for path in folder.rglob("*") if path.is_file()):
    backend.put_object("loc", f"{folder.name}/{file.relative_to(folder)}", file.read_bytes())

application = DomainDispatcherApplication(create_backend_app)
lock, count = threading.Lock(), 0
EVERY = 9


def busy(environ, start):
    """Each ninth request is refused as S3 refuses those above its rate."""
    global count
    with lock:
        count += 1
        refuse = count % EVERY == 0
    if refuse:
        print("503", environ["REQUEST_METHOD"], environ["PATH_INFO"], flush=True)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start("503 Slow Down", [("Content-Type", "application/xml")])
        return [b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"]
    return application(environ, start)


class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_request(self, *args):
        pass


run_simple("127.0.0.1", port, busy, threaded=True, request_handler=Quiet)
