# A web server for the tests. It says where it listens, and then of each request whether its signature holds, by
# Python's own HMAC. Arguments: SECRET, then optionally CERTIFICATE KEY. To /busy it answers 503, to /away it redirects.
import base64, hashlib, hmac, http.server, json, ssl, sys


def say(what):
    print(json.dumps(what), flush=True)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        signed = f'{self.headers["webhook-id"]}.{self.headers["webhook-timestamp"]}.'.encode() + body
        right = "v1," + base64.b64encode(hmac.new(sys.argv[1].encode(), signed, hashlib.sha256).digest()).decode()
        say({
            "path": self.path, "id": self.headers["webhook-id"],
            "timestamp": int(self.headers["webhook-timestamp"]),
            "signed": hmac.compare_digest(right, self.headers["webhook-signature"]),
            "body": json.loads(body),
        })
        self.send_response({"/busy": 503, "/away": 302}.get(self.path, 204))
        self.send_header("location", "/")
        self.end_headers()

    def log_message(self, *arguments):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
say({"port": server.server_address[1]})
server.serve_forever()
