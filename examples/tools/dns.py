#!/usr/bin/env python3
"""A DNS server for captures: answers every A question with 192.0.2.10, over UDP and TCP."""
import socketserver
import struct
import sys
import threading


def answer(query):
    end = 12
    while query[end]:
        end += 1 + query[end]
    question = query[12:end + 5]
    record = struct.pack("!HHHIH4s", 0xC00C, 1, 1, 300, 4, bytes([192, 0, 2, 10]))
    return query[:2] + struct.pack("!HHHHH", 0x8580, 1, 1, 0, 0) + question + record


class Datagram(socketserver.BaseRequestHandler):
    def handle(self):
        data, socket = self.request
        socket.sendto(answer(data), self.client_address)


class Stream(socketserver.BaseRequestHandler):
    def handle(self):
        head = self.request.recv(2)
        if len(head) == 2:
            reply = answer(self.request.recv(struct.unpack("!H", head)[0]))
            self.request.sendall(struct.pack("!H", len(reply)) + reply)


socketserver.TCPServer.allow_reuse_address = True
address = (sys.argv[1], 53)
threading.Thread(target=socketserver.UDPServer(address, Datagram).serve_forever, daemon=True).start()
socketserver.ThreadingTCPServer(address, Stream).serve_forever()
