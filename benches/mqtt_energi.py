#!/usr/bin/env python3
"""What the script `mqtt-energi` did with each frame, rewritten for comparisons.

    python3 benches/mqtt_energi.py CAPTURE        prints the readings of a pcapng file
    python3 benches/mqtt_energi.py -i INTERFACE   prints what it receives, and at SIGTERM how many frames
                                                  those were, on standard error

For each frame it takes slices and int.from_bytes into a dictionary, and prints that; of what came
then, the messages to the broker, nothing is done here.
"""

import gzip
import selectors
import signal
import socket
import struct
import sys

ETHERTYPE = 0x88B5
MAGIC = (0xCB, 0xDA, 0xE9, 0xF8)


def frames(path):
    """The packets of a little-endian pcapng file."""
    data = gzip.open(path).read()
    at, packets = 0, []
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        if kind == 6:
            (length,) = struct.unpack_from("<I", data, at + 20)
            packets.append(data[at + 28 : at + 28 + length])
        at += size
    return packets


def bits(byte):
    return [1 if byte & (1 << (7 - n)) else 0 for n in range(8)]


def decode(p):
    """As the script did with its debug output off: unconfirmed fields are read, not published."""
    kind = p[0x18]
    if kind == 0x1F:
        serial = int.from_bytes(p[0x1E:0x22], "little")
        frequency = int.from_bytes(p[0x22:0x24], "little")
        diverted = int.from_bytes(p[0x2C:0x2E], "little")
        voltage = int.from_bytes(p[0x32:0x34], "little")
        return {
            "serial": serial,
            "frequency": frequency / 100,
            "voltage": voltage / 10,
            "diverted_kWh": diverted / 100,
        }
    elif kind == 0x20:
        serial = int.from_bytes(p[0x1E:0x22], "little")
        diverted = int.from_bytes(p[0x2C:0x2E], "little")
        power = int.from_bytes(p[0x34:0x36], "little")
        _current = int.from_bytes(p[0x36:0x38], "little")
        _rating = int.from_bytes(p[0x26:0x28], "little")
        heaters, stopped, boost = bits(p[0x2F]), bits(p[0x25]), bits(p[0x2E])
        return {
            "serial": serial,
            "diverted_kWh": diverted / 100,
            "divert_pwr": power,
            "heater1": heaters[7],
            "heater2": heaters[6],
            "stopped": stopped[0],
            "boost": boost[3],
        }
    elif kind == 0x2B:
        _fields = (
            int.from_bytes(p[0x1E:0x22], "little"),
            int.from_bytes(p[0x22:0x24], "little"),
            int.from_bytes(p[0x2C:0x2E], "little"),
            int.from_bytes(p[0x3C:0x3E], "little", signed=True),
            int.from_bytes(p[0x34:0x36], "little", signed=True),
            int.from_bytes(p[0x41:0x43], "little", signed=True),
            int.from_bytes(p[0x41:0x43], "little", signed=True),
        )
    elif kind == 0x22:
        generation = int.from_bytes(p[0x22:0x24], "little", signed=True)
        grid = int.from_bytes(p[0x1E:0x20], "little", signed=True)
        power = int.from_bytes(p[0x32:0x34], "little", signed=True)
        serial = int.from_bytes(p[0x2E:0x32], "little")
        return {"serial": serial, "gen_pwr": generation, "grid_pwr": grid, "divert_pwr": power}
    elif kind == 0x27:
        _fields = (
            int.from_bytes(p[0x1E:0x22], "little"),
            int.from_bytes(p[0x22:0x24], "little"),
            int.from_bytes(p[0x2C:0x2E], "little"),
            int.from_bytes(p[0x38:0x3A], "little", signed=True),
            int.from_bytes(p[0x36:0x38], "little", signed=True),
            int.from_bytes(p[0x3D:0x3E], "little", signed=True),
            int.from_bytes(p[0x3C:0x3D], "little", signed=True),
            int.from_bytes(p[0x3A:0x3C], "little", signed=True),
            int.from_bytes(p[0x34:0x36], "little", signed=True),
            int.from_bytes(p[0x32:0x34], "little", signed=True),
            int.from_bytes(p[0x30:0x32], "little", signed=True),
            int.from_bytes(p[0x2E:0x30], "little", signed=True),
        )
    elif kind == 0x37:
        _fields = (
            int.from_bytes(p[0x1E:0x22], "little"),
            int.from_bytes(p[0x4D:0x4F], "little", signed=True),
            int.from_bytes(p[0x3C:0x3D], "little", signed=True),
            int.from_bytes(p[0x3A:0x3C], "little", signed=True),
            int.from_bytes(p[0x34:0x36], "little", signed=True),
            int.from_bytes(p[0x32:0x34], "little", signed=True),
            int.from_bytes(p[0x30:0x32], "little", signed=True),
            int.from_bytes(p[0x2E:0x30], "little", signed=True),
        )
    elif kind == 0x36:
        _fields = (
            int.from_bytes(p[0x4A:0x4E], "little"),
            int.from_bytes(p[0x1C:0x1E], "little", signed=True),
            int.from_bytes(p[0x1E:0x20], "little", signed=True),
            int.from_bytes(p[0x20:0x22], "little", signed=True),
            int.from_bytes(p[0x22:0x24], "little", signed=True),
            int.from_bytes(p[0x24:0x26], "little", signed=True),
            int.from_bytes(p[0x30:0x32], "little", signed=True),
            int.from_bytes(p[0x34:0x36], "little", signed=True),
            int.from_bytes(p[0x36:0x38], "little", signed=True),
            int.from_bytes(p[0x38:0x3A], "little", signed=True),
            int.from_bytes(p[0x3A:0x3C], "little", signed=True),
            int.from_bytes(p[0x3C:0x3E], "little", signed=True),
            int.from_bytes(p[0x3E:0x40], "little", signed=True),
            int.from_bytes(p[0x40:0x42], "little", signed=True),
            int.from_bytes(p[0x42:0x44], "little", signed=True),
            int.from_bytes(p[0x44:0x46], "little", signed=True),
            int.from_bytes(p[0x46:0x48], "little", signed=True),
            int.from_bytes(p[0x48:0x4A], "little", signed=True),
        )
    elif kind == 0x38:
        _fields = (
            int.from_bytes(p[0x1E:0x22], "little"),
            int.from_bytes(p[0x20:0x22], "little", signed=True),
            int.from_bytes(p[0x22:0x24], "little", signed=True),
            int.from_bytes(p[0x24:0x26], "little", signed=True),
            int.from_bytes(p[0x26:0x28], "little", signed=True),
            int.from_bytes(p[0x28:0x2A], "little", signed=True),
            int.from_bytes(p[0x2A:0x2C], "little", signed=True),
            int.from_bytes(p[0x2C:0x2E], "little", signed=True),
            int.from_bytes(p[0x2E:0x30], "little", signed=True),
            int.from_bytes(p[0x30:0x32], "little", signed=True),
            int.from_bytes(p[0x32:0x34], "little", signed=True),
            int.from_bytes(p[0x34:0x36], "little", signed=True),
            int.from_bytes(p[0x36:0x38], "little", signed=True),
            int.from_bytes(p[0x38:0x3A], "little", signed=True),
            int.from_bytes(p[0x3A:0x3C], "little", signed=True),
            int.from_bytes(p[0x3C:0x3E], "little", signed=True),
            int.from_bytes(p[0x3E:0x40], "little", signed=True),
        )
    elif kind == 0x3A:
        _fields = (
            int.from_bytes(p[0x1E:0x22], "little"),
            int.from_bytes(p[0x22:0x24], "little", signed=True),
            int.from_bytes(p[0x24:0x26], "little", signed=True),
            int.from_bytes(p[0x26:0x28], "little", signed=True),
            int.from_bytes(p[0x28:0x2A], "little", signed=True),
            int.from_bytes(p[0x2A:0x2C], "little", signed=True),
            int.from_bytes(p[0x2C:0x2E], "little", signed=True),
            int.from_bytes(p[0x2E:0x30], "little", signed=True),
            int.from_bytes(p[0x30:0x32], "little", signed=True),
            int.from_bytes(p[0x32:0x34], "little", signed=True),
            int.from_bytes(p[0x34:0x36], "little", signed=True),
            int.from_bytes(p[0x36:0x38], "little", signed=True),
            int.from_bytes(p[0x38:0x3A], "little", signed=True),
            int.from_bytes(p[0x44:0x46], "little", signed=True),
            int.from_bytes(p[0x42:0x44], "little", signed=True),
        )
    return {}


def read(frame):
    """The readings of an Ethernet frame; empty where there are none."""
    header, payload = frame[:14], frame[14:]
    _destination, _source, ethertype = struct.unpack("!6s6sH", header)
    if ethertype == ETHERTYPE and struct.unpack("4B", payload[:4]) == MAGIC:
        return decode(payload)
    return {}


class Stop(Exception):
    """SIGTERM came."""


def stop(_signal, _stack):
    raise Stop


def listen(interface):
    signal.signal(signal.SIGTERM, stop)
    count = 0
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE)) as packets:
            packets.bind((interface, 0))
            with selectors.DefaultSelector() as selector:
                selector.register(packets.fileno(), selectors.EVENT_READ)
                while True:
                    if selector.select():
                        reading = read(packets.recv(1514))
                        count += 1
                        if reading:
                            print(reading)
    except Stop:
        print(count, file=sys.stderr)


def main(arguments):
    if arguments[0] == "-i":
        listen(arguments[1])
    else:
        for frame in frames(arguments[0]):
            if reading := read(frame):
                print(reading)


if __name__ == "__main__":
    main(sys.argv[1:])
