"""Runs the Tiltfile as far as Python can: its dialect, Starlark, is a smaller Python.

Reads from standard input what the Tiltfile reads from the tree ({"files": {path: content}, "rendered": [objects], "context": …}),
and writes what the Tiltfile asked Tilt for, a list of [function, positional arguments, named arguments].
"""

import ast
import json
import sys

given = json.load(sys.stdin)
source = open("Tiltfile").read()

# Builtins that Python has, and Tilt's Starlark has not.
FOREIGN = (
    ast.Import, ast.ImportFrom, ast.ClassDef, ast.While, ast.Try, ast.With, ast.Raise, ast.Global, ast.Nonlocal, ast.Yield,
    ast.JoinedStr, ast.NamedExpr, ast.Await, ast.Delete, ast.Assert, ast.Is, ast.IsNot, ast.Pow, ast.Set, ast.SetComp, ast.GeneratorExp,
)
for node in ast.walk(ast.parse(source)):
    if isinstance(node, FOREIGN):
        sys.exit("Tiltfile:%s: Starlark has no %s" % (getattr(node, "lineno", "?"), type(node).__name__))

calls = []


def asked(name, answer=None):
    def function(*positional, **named):
        calls.append([name, list(positional), named])
        return answer(*positional, **named) if answer else {name: list(positional), **named}

    return function


class Os:
    getenv = staticmethod(lambda name, default=None: given["environment"].get(name, default))


scope = {"os": Os, "TRIGGER_MODE_MANUAL": "manual", "TRIGGER_MODE_AUTO": "auto"}
for name in ["k8s_yaml", "custom_build", "k8s_resource", "local_resource", "port_forward", "link"]:
    scope[name] = asked(name)
scope["read_yaml"] = asked("read_yaml", lambda path: given["files"][path])
scope["helm"] = asked("helm", lambda *_, **__: given["rendered"])
scope["decode_yaml_stream"] = lambda stream: stream
scope["encode_yaml_stream"] = lambda objects: objects
scope["k8s_context"] = lambda: given["context"]
builtins = ["dict", "list", "len", "range", "str", "int", "bool", "sorted", "enumerate", "zip", "print", "any", "all", "min", "max"]
scope["__builtins__"] = {name: getattr(__import__("builtins"), name) for name in builtins}

exec(compile(source, "Tiltfile", "exec"), scope)
json.dump(calls, sys.stdout)
