"""Numbered frames over chains, with a window: what is sent is on its way or has come, whatever the load.

load.py WINDOW OUT:IN...   sends on interfaces OUT, hears on IN, until standard input is closed.

Then it waits for what is on its way, and prints for each chain what was sent and what came.
"""

import json
import select
import socket
import struct
import sys
import time

# For experiments on a local network (IEEE 802).
TYPE = 0x88B5
SO_RCVBUFFORCE = 33
# A frame counts as lost, for the window, when it has been on its way so long.
PATIENCE = 1.0
QUIET = 3.0


class Chain:
    def __init__(self, number, names):
        self.number = number
        self.out, self.hear = (self.open(name) for name in names.split(":"))
        self.sent = self.came = 0
        # Whatever comes while this program waits for its turn has room.
        self.hear.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self.coming = {}

    @staticmethod
    def open(name):
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(TYPE))
        end.bind((name, TYPE))
        end.setblocking(False)
        return end

    def send(self, window, now):
        for number in [n for n, sent in self.coming.items() if now - sent > PATIENCE]:
            del self.coming[number]
        while len(self.coming) < window:
            text = struct.pack("!BQ", self.number, self.sent).ljust(46, b"\0")
            head = bytes.fromhex("02000000000b02000000000a") + struct.pack("!H", TYPE)
            try:
                self.out.send(head + text)
            except (BlockingIOError, OSError):
                return
            self.coming[self.sent] = now
            self.sent += 1

    def receive(self):
        some = False
        while True:
            try:
                frame, address = self.hear.recvfrom(2048)
            except BlockingIOError:
                return some
            if address[2] == socket.PACKET_OUTGOING:
                continue
            chain, number = struct.unpack("!BQ", frame[14:23])
            assert chain == self.number, (chain, self.number)
            self.coming.pop(number, None)
            self.came += 1
            some = True


window = int(sys.argv[1])
chains = [Chain(number, names) for number, names in enumerate(sys.argv[2:])]
print("sending", flush=True)
ends = [chain.hear for chain in chains]
ending = None
while ending is None or time.monotonic() - ending < QUIET:
    ready, _, _ = select.select(ends + ([sys.stdin] if ending is None else []), [], [], 0.005)
    if sys.stdin in ready and not sys.stdin.read(1):
        ending = time.monotonic()
    for chain in chains:
        if chain.receive() and ending is not None:
            ending = time.monotonic()
        if ending is None:
            chain.send(window, time.monotonic())
print(json.dumps([{"sent": c.sent, "came": c.came} for c in chains]))
