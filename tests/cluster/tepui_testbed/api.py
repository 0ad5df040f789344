"""What is asked of the API server without kubectl: whether it is ready."""

import base64
import http.client
import json
import ssl
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

_ANSWER_S = 5


def ready(kubeconfig: Path) -> bool:
    """Whether /readyz answers 200."""
    content = json.loads(kubeconfig.read_text())
    cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as client:
        client.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
        client.flush()
        context.load_cert_chain(client.name)
    server = urlsplit(cluster["server"])
    connection = http.client.HTTPSConnection(str(server.hostname), server.port, timeout=_ANSWER_S, context=context)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
