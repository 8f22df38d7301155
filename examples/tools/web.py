#!/usr/bin/env python3
"""A web server for captures: web.py ADDRESS FOLDER. Looks up no names, unlike http.server's own."""
import functools
import http.server
import socketserver
import sys


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True


handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[2])
Server((sys.argv[1], 80), handler).serve_forever()
