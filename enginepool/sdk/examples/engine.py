#!/usr/bin/env python3
"""An engine in Python; the standard library is all it needs. Its procedures: ECHO, UPPER, ASK and SLOW <seconds>."""
import os, select, socket, sys, time

D = b"\x01"  # ends a field
WHOLE = socket.MSG_WAITALL
server = socket.socket(fileno=int(os.environ["ENGINE_FD"]))
waiting = select.poll()  # who sleeps in recv is also woken whenever the server has read something: that costs both more
waiting.register(server, select.POLLIN)


def read():
    """The next order: its code, the number of its request, and its fields, raw. At the end of the connection the engine ends."""
    waiting.poll()
    size = server.recv(8, WHOLE)
    if len(size) < 8:
        sys.exit(0)
    code, rid, fields = (server.recv(int(size), WHOLE).split(D, 2) + [b"", b""])[:3]
    return int(code), rid, fields


def send(code, rid, *fields):
    """An event. The last field may hold any byte: it goes to the end of the frame."""
    payload = D.join((str(code).encode(), rid) + fields)
    server.sendall(b"%08d" % len(payload) + payload)


def broken(rid):
    """Whether the client wants no answer any more. An engine that looks from time to time can be stopped gently."""
    while select.select([server], [], [], 0)[0]:
        code, of, _ = read()
        if code == 100 and of == rid:
            return True
    return False


def ask(rid, prompt):
    """The client's answer to a question; None is a break."""
    send(10, rid, prompt)
    while True:
        code, _, answer = read()
        if code in (19, 100):
            return answer if code == 19 else None


def run(rid, procedure, args):
    """The output of a call; None after a break."""
    if procedure == b"ECHO":
        return D.join(args)
    if procedure == b"UPPER":
        return D.join(args).upper()
    if procedure == b"ASK":
        name = ask(rid, b"Name? ")
        return name if name is None else b"Hello " + name
    if procedure == b"SLOW":
        end = time.monotonic() + float(args[0])
        while time.monotonic() < end:
            if broken(rid):
                return None
            time.sleep(0.01)
        return b"slept"
    raise ValueError("unknown procedure")


send("HELLO", b"0", b"1", b"python", sys.version.split()[0].encode())
while True:
    code, rid, fields = read()
    if code == 1:  # login: the fields are user, password, application, mode, procedure, flags, location. All are welcome.
        send(3, rid)
    elif code == 2:  # logoff
        sys.exit(0)
    elif code not in (19, 100, 101):  # a call; those are too late
        send(0, rid)  # begun: from here on no other engine gets this request
        kind, procedure, deadline, *args = fields.split(D)
        try:
            output = run(rid, procedure, args[:-1])  # each argument is ended by D, so that nothing is behind the last
            send(3, rid, b"", output) if output is not None else send(4, rid, b"BREAK", b"broken")
        except Exception as e:
            send(4, rid, type(e).__name__.encode(), str(e).encode())
