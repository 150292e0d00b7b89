"""The laws of the house: floors, no waiting below, one door per library, equal twins, an honest face."""

from __future__ import annotations

import ast
import copy
import re
import subprocess
import sys
from pathlib import Path

import pytest

import langchain_hf_inference

ROOT = Path(langchain_hf_inference.__file__).parent
NAME = "langchain_hf_inference"
FILES = sorted(ROOT.rglob("*.py"))
TREES = {path: ast.parse(path.read_text()) for path in FILES}

FLOORS = {
    "errors": 0, "_version": 0, "_protocol": 1, "_settings": 1.2, "_arguments": 1.4, "_checked_model": 1.6, "_transport": 2, "_connection": 3, "_task_connection": 4, "_tracing": 4, "_per_call": 4, "_binding": 3,
    "_profiles": 4, "_token_count": 4, "_stream_events": 4,
    "_chat_call": 3, "_content_blocks": 3, "_structured_parsing": 2, "_structured_output": 3, "_text_call": 5, "chat_models": 6, "llms": 6, "embeddings": 6, "tasks": 6, "testing": 7, "compat": 7, "nodes": 7, "batch": 8, "ray": 9, "cli": 10, "__main__": 11, "registration": 7,
}  # fmt: skip
"""Which room may stand on which: an import goes to a lower floor, or stays in its own room."""

MAX_LINES, MAX_FUNCTION_LINES = 300, 50


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(tree: ast.AST) -> list[str]:
    """Give every module that a file imports, wherever in it the import stands."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [p for p in FILES if room_of(p) != "__init__"], ids=shown)
def test_floors(path: Path) -> None:
    """An import goes to a lower floor or stays in its own room, and never to the package's face."""
    floor, room = FLOORS[room_of(path)], room_of(path)
    for module in imports(TREES[path]):
        if module.partition(".")[0] != NAME:
            continue
        other = module.split(".")[1]
        assert other in FLOORS, f"{module}: imported from the face"
        assert other == room or FLOORS[other] < floor, f"{module} is not below"


def test_no_circles() -> None:
    """No two files import each other, by whatever way round."""
    modules = {".".join(p.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): p for p in FILES}

    def targets(path: Path) -> set[str]:
        named = [name if name in modules else name.rpartition(".")[0] for name in imports(TREES[path])]
        return {name for name in named if name in modules and name != NAME}

    graph = {name: targets(path) - {name} for name, path in modules.items() if name != NAME}
    graph = {name: needs & graph.keys() for name, needs in graph.items()}
    while leaves := [name for name, needs in graph.items() if not needs & graph.keys()]:
        for name in leaves:
            del graph[name]
    assert graph == {}, "these go round in a circle"


@pytest.mark.parametrize("path", [p for p in FILES if room_of(p) == "_protocol"], ids=shown)
def test_no_waiting_below(path: Path) -> None:
    """The protocol neither connects nor waits nor draws lots; of LangChain it knows messages, outputs, exceptions."""
    for module in imports(TREES[path]):
        top, _, rest = module.partition(".")
        assert top not in {"httpx", "huggingface_hub", "asyncio", "time", "random", "threading", "socket", "requests"}
        assert top != "langchain_core" or rest.split(".")[0] in {"messages", "outputs", "exceptions"}, module


def test_one_door() -> None:
    """httpx is imported in _transport alone, huggingface_hub in its hub.py, Runnables composed in one room."""
    users = {"httpx": set(), "huggingface_hub": set()}
    for path in FILES:
        for top in {module.partition(".")[0] for module in imports(TREES[path])} & users.keys():
            users[top].add(shown(path))
        composing = "langchain_core.runnables.RunnableMap" in imports(TREES[path])
        assert composing == (shown(path) == "_structured_output.py")

    assert all(path.startswith("_transport/") for path in users["httpx"])
    assert users["huggingface_hub"] == {"_transport/hub.py"}


def test_secrets_are_read_in_one_place() -> None:
    """A secret is read together with the origins that it may go to, and nowhere else."""
    reading = {shown(path) for path in FILES if "get_secret_value" in path.read_text()}

    assert reading == {"_protocol/credentials.py"}


DANGEROUS = {"eval", "exec", "compile", "__import__", "pickle.load", "pickle.loads", "marshal.loads", "yaml.load", "os.system",
             "subprocess.run", "subprocess.Popen"}  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_nothing_dangerous(path: Path) -> None:
    """Nothing is evaluated, unpickled or started, and TLS is verified everywhere."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in DANGEROUS
            for keyword in node.keywords:
                assert (keyword.arg, ast.unparse(keyword.value)) not in {
                    ("verify", "False"),
                    ("check_hostname", "False"),
                }
        assert "CERT_NONE" not in ast.unparse(node) if isinstance(node, ast.Attribute) else True


UNEQUAL = {
    "acredentials": "functions given as api_key are called on a thread, so that they cannot block the loop",
    "aprovider_models": "importing huggingface_hub takes its time and goes to a thread",
    "abyte_chunks": "the difference is the name of httpx's own twin",
    "afan_out": "threads on the one side, tasks on the other",
    "alock": "an asyncio lock belongs to its event loop",
    "_araw_chunks": "the difference is the name of httpx's own twin",
    "adiscard": "its clients belong to the running loop",
    "aacquire_client": "its client is created in the running loop, on either backend",
    "adeadline": "asyncio cancels what takes too long; a blocking read needs its connection shut down",
    "acall_within": "a blocking call is left to a thread, an asynchronous one is cancelled",
    "aon_event": "httpx calls a function in the one case, a coroutine function in the other",
    "astream": "a synchronous stream may be closed by the garbage collector, an asynchronous one only by its loop",
    "_aopen": "its open responses belong to the running loop, and aiohttp needs a timer for the pauses",
    "_aacquire": "the backend can be chosen for asynchronous calls only",
    "acall_with_retries": "LangChain's asynchronous handlers return awaitables",
}
SAME = {
    "enter_async_context": "enter_context", "push_async_callback": "callback", "asynccontextmanager": "contextmanager",
    "async_client": "client", "AsyncClient": "Client", "aread": "read", "asleep": "sleep", "aclosing": "closing", "alock": "lock", "abyte_chunks": "byte_chunks", "__aiter__": "__iter__",
}  # fmt: skip


def functions(tree: ast.AST) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    """Give the functions of a file by `Class.name`."""
    found = {}
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                found[f"{node.name}.{child.name}" if isinstance(node, ast.ClassDef) else child.name] = child
    return found


def twins() -> list[tuple[str, str, str]]:
    """Give (place, sync body, async body) of each pair `name`, `aname` in one class or module."""
    pairs = []
    for path, tree in TREES.items():
        known = functions(tree)
        for name, function in known.items():
            owner, _, short = name.rpartition(".")
            bare = re.sub(r"^(_?)", r"\1a", short)
            other = known.get(f"{owner}.{bare}" if owner else bare)
            if other is not None and bare not in UNEQUAL:
                pairs.append((f"{shown(path)}:{name}", erased(function), erased(other)))
            sibling = known.get(re.sub(r"^(_?)", r"\1Async", name))  # of a class that has an async twin
            if (other := sibling) is not None and short not in UNEQUAL:
                pairs.append((f"{shown(path)}:{name}", erased(function), erased(other)))
    return pairs


class _Erased(ast.NodeTransformer):
    """Takes `async` and `await` away, and gives names of async twins in their sync form."""

    def visit_Await(self, node: ast.Await) -> ast.AST:
        return self.visit(node.value)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        self.generic_visit(node)
        return ast.For(node.target, node.iter, node.body, node.orelse)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        self.generic_visit(node)
        return ast.With(node.items, node.body)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        self.generic_visit(node)
        return ast.FunctionDef(sync_name(node.name), node.args, node.body, node.decorator_list, node.returns)

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        self.generic_visit(node)
        node.is_async = 0
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(sync_name(node.id), node.ctx)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        return ast.Attribute(node.value, sync_name(node.attr), node.ctx)


DEFINED = {name.rpartition(".")[2] for tree in TREES.values() for name in functions(tree)} | {
    "_call_with_config",
    "_transform_stream_with_config",
    "abatch",
    "batch",
}


def sync_name(name: str) -> str:
    """Give the sync twin's name, for a name that has one: `_aopen` -> `_open`, `AsyncClient` -> `Client`."""
    bare = re.sub(r"^(_?)a", r"\1", name)
    if name in SAME:
        return SAME[name]
    return bare if bare != name and bare in DEFINED else re.sub(r"^(_?)Async(?=[A-Z])", r"\1", name)


def erased(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Give a body without docstring, `async` and `await`, each name in its sync form."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return "\n".join(ast.unparse(ast.fix_missing_locations(_Erased().visit(copy.deepcopy(node)))) for node in body)


PAIRS = twins()


@pytest.mark.parametrize(("place", "one", "other"), PAIRS, ids=[pair[0] for pair in PAIRS])
def test_twins_are_equal(place: str, one: str, other: str) -> None:
    """A method that stands sync and async has one body, once async and await are erased; or starts the other."""
    assert one == other or one.startswith("return asyncio.run(self.") or other.startswith("return asyncio.run(self.")


def test_twins_are_found() -> None:
    """The search for twins finds those that must be there."""
    places = {place for place, _, _ in PAIRS}

    assert {"_transport/http.py:HTTPTransport._exchange", "chat_models.py:ChatHFInference._stream"} <= places


def test_honest_face() -> None:
    """`__all__` is sorted and is what is there."""
    face = langchain_hf_inference

    assert face.__all__ == sorted(face.__all__)
    assert dir(face) == face.__all__
    assert all(getattr(face, name) is not None for name in face.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = face.nothing


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_rooms_are_small(path: Path) -> None:
    """A file has one subject, named in its first line, and its functions can be seen at a glance."""
    assert ast.get_docstring(TREES[path]), "no first line that says what this is"
    assert len(path.read_text().splitlines()) <= MAX_LINES
    for name, function in functions(TREES[path]).items():
        lines = (function.end_lineno or 0) - function.lineno + 1
        assert lines <= MAX_FUNCTION_LINES, f"{name} has {lines} lines"


def test_light_to_import() -> None:
    """Importing the package and making models loads neither httpx nor huggingface_hub, nor makes a TLS context."""
    code = """
import sys
from langchain_core.language_models import BaseChatModel, BaseLLM
before = set(sys.modules)
from langchain_hf_inference import ChatHFInference, HFInferenceEmbeddings, HFInferenceLLM
for kind in (ChatHFInference, HFInferenceLLM, HFInferenceEmbeddings):
    kind(model="org/name")
print(*(set(sys.modules) - before))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {
        "httpx",
        "httpcore",
        "huggingface_hub",
        "numpy",
        "tomllib",
        "langchain_hf_inference._transport.clients",
    }
