#!/usr/bin/env python3
"""Asks one DNS server the same question from many ports: many-ports.py FROM SERVER COUNT."""
import socket
import sys

question = b"\x12\x34\x01\x00\x00\x01" + bytes(6) + b"\x07example\x03org\x00\x00\x01\x00\x01"
for port in range(20000, 20000 + int(sys.argv[3])):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.bind((sys.argv[1], port))
        asking.settimeout(2)
        asking.sendto(question, (sys.argv[2], 53))
        asking.recv(512)
