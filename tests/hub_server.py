"""A small Hub on this machine: the calls that the installed `huggingface_hub` makes, without Xet, kept in memory.

    with HubServer(folder).running() as hub:
        subprocess.run(["reel", "publish", "dataset", "data", "user/films"], env=hub.env())
        hub.repos["dataset", "user/films"].files["README.md"]

One account is known, `USER`, by one token. What it was asked is in `calls`, what no route answers in `unknown`, and
`fail_next` makes it fail.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import re
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from tests.hub_repos import USER, File, Refusal, Repo, front_matter

TOKEN = "hf_thetokenofthetests"
_LARGE_FILES = (".parquet", ".png", ".safetensors", ".bin")
_LICENCES = {"other", "unknown", "apache-2.0", "mit", "cc-by-4.0", "cc-by-nc-4.0", "cc0-1.0", "odbl"}
_TASKS = {"other", "tabular-regression", "tabular-classification", "text-generation"}
_SIZE = re.compile(r"n<1K|\d+[KMB]<n<\d+[KMBT]|n>1T")


class Call(NamedTuple):
    """One request, its answer's status, and the bytes that went out with it."""

    method: str
    path: str
    status: int
    sent: int


class HubServer:
    """Serves while the block of `running` lasts.

    Attributes:
        endpoint: its address, for HF_ENDPOINT.
        token: the token of `USER`.
        repos: all repositories by (kind, id); kinds are model, dataset and space.
        large: contents uploaded through LFS by their sha256, committed or not.
        calls: every request so far.
        unknown: requests that no route here answers.
    """

    def __init__(self, folder: Path):
        self.token = TOKEN
        self.repos: dict[tuple[str, str], Repo] = {}
        self.large: dict[str, bytes] = {}
        self.calls: list[Call] = []
        self.unknown: list[str] = []
        self._folder = folder
        self._homes = itertools.count()
        self._faults: list[list[Any]] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    @contextmanager
    def running(self) -> Iterator[HubServer]:
        server = uvicorn.Server(uvicorn.Config(self._app(), log_level="critical"))
        thread = threading.Thread(target=server.run, args=([self._socket],), daemon=True)
        thread.start()
        try:
            while not server.started and thread.is_alive():
                time.sleep(0.01)
            yield self
        finally:
            server.should_exit = True
            thread.join(10)
            self._socket.close()

    def env(self, **settings: str) -> dict[str, str]:
        """The environment of a process that knows this Hub alone, is logged in and has nothing cached.

        Args:
            settings: variables to add or change, such as HF_TOKEN.
        """
        outside = {name: value for name, value in os.environ.items() if not re.match(r"HF_|.*_proxy$", name, re.I)}
        return outside | {
            "HF_ENDPOINT": self.endpoint,
            "HF_TOKEN": self.token,
            "HF_HOME": str(self._folder / f"home-{next(self._homes)}"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_OFFLINE": "0",
            **settings,
        }

    def fail_next(self, part: str, status: int, times: int = 1, message: str = "injected") -> None:
        """Answer the next `times` requests whose "METHOD path" contains `part` with `status`."""
        self._faults.append([part, status, times, message])

    def asked(self, part: str) -> list[Call]:
        """The requests whose "METHOD path" contains `part`."""
        return [call for call in self.calls if part in f"{call.method} {call.path}"]

    def _app(self) -> FastAPI:
        app = FastAPI(openapi_url=None)
        app.middleware("http")(self._record)
        app.add_exception_handler(Refusal, lambda request, refusal: refusal.response())  # type: ignore[attr-defined]
        app.post("/api/repos/create")(self._create)
        app.post("/api/validate-yaml")(self._validate)
        app.put("/lfs/{oid}")(self._put_large)
        repo = "/api/{kinds}/{owner}/{name}"
        app.get(repo)(self._info)
        app.get(repo + "/revision/{revision}")(self._info)
        app.get(repo + "/tree/{revision}")(self._tree)
        app.get(repo + "/tree/{revision}/{path:path}")(self._tree)
        app.post(repo + "/preupload/{revision}")(self._preupload)
        app.post(repo + "/commit/{revision}")(self._commit)
        app.post(repo + "/tag/{revision}")(self._tag)
        app.post(repo + "/variables")(self._set_variable)
        for prefix in ("/{kinds}", ""):
            app.post(prefix + "/{owner}/{name}.git/info/lfs/objects/batch")(self._lfs_batch)
            path = prefix + "/{owner}/{name}/resolve/{revision}/{path:path}"
            app.api_route(path, methods=["GET", "HEAD"])(self._resolve)
        return app

    async def _record(self, request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        path = unquote(request.url.path)
        fault = next((fault for fault in self._faults if fault[0] in f"{request.method} {path}" and fault[2]), None)
        if fault:
            fault[2] -= 1
            await request.body()
            response = Refusal(fault[1], fault[3]).response()
            response.headers["Retry-After"] = "0"
        else:
            response = await answer(request)
            if response.status_code in (404, 405) and not response.headers.get("X-Error-Message"):
                self.unknown.append(f"{request.method} {path}")
        sent = int(response.headers.get("Content-Length", 0)) if request.method != "HEAD" else 0
        self.calls.append(Call(request.method, path, response.status_code, sent))
        return response

    def _is_user(self, request: Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {self.token}"

    def _check_writer(self, request: Request, owner: str) -> None:
        if not self._is_user(request):
            raise Refusal(401, "Invalid username or password.")
        if owner != USER:
            raise Refusal(403, f"You don't have the rights to write under the namespace {owner!r}")

    def _find(self, request: Request, *, write: bool = False) -> Repo:
        """The repository that the path of a request names."""
        where = request.path_params
        if write:
            self._check_writer(request, where["owner"])
        repo = self.repos.get((where.get("kinds", "models").removesuffix("s"), f"{where['owner']}/{where['name']}"))
        if repo is None or (repo.private and not self._is_user(request)):
            raise Refusal(404 if self._is_user(request) else 401, "Repository not found", "RepoNotFound")
        return repo

    async def _create(self, request: Request) -> Any:
        wish = await request.json()
        owner, kind = wish["organization"] or USER, wish.get("type", "model")
        self._check_writer(request, owner)
        repo_id = f"{owner}/{wish['name']}"
        url = f"{self.endpoint}/{'' if kind == 'model' else kind + 's/'}{repo_id}"
        if (kind, repo_id) in self.repos:
            raise Refusal(409, f"You already created this {kind} repo", url=url)
        repo = self.repos[kind, repo_id] = Repo(kind, repo_id, wish.get("visibility") == "private")
        repo.commit("initial commit", {".gitattributes": File(b"*.parquet filter=lfs\n", large=False)})
        return {"url": url, "name": repo_id}

    async def _validate(self, request: Request) -> Any:
        card = front_matter((await request.json())["content"])
        index = card.get("model-index", [])
        valid = {
            "model-index": isinstance(index, list) and all(map(_is_evaluated, index)),
            "library_name": isinstance(card.get("library_name", ""), str),
            "tags": all(isinstance(tag, str) for tag in card.get("tags", [])),
            "sdk": card.get("sdk", "gradio") in ("gradio", "docker", "static"),
            "sdk_version": isinstance(card.get("sdk_version", ""), str),
            "license": card.get("license", "other") in _LICENCES,
            "task_categories": set(card.get("task_categories", [])) <= _TASKS,
            "size_categories": all(_SIZE.fullmatch(size) for size in card.get("size_categories", [])),
            "configs": all({"config_name", "data_files"} <= set(config) for config in card.get("configs", [])),
        }
        errors = [{"message": f'"{name}" must be one of [...]'} for name, fine in valid.items() if not fine]
        return JSONResponse({"errors": errors, "warnings": []}, 400 if errors else 200)

    async def _info(self, request: Request) -> Any:
        return self._find(request).info(request.path_params.get("revision", "main"))

    async def _tree(self, request: Request) -> Any:
        sha, files = self._find(request).at(request.path_params["revision"])
        top = PurePosixPath(request.path_params.get("path", ""))
        folders = {parent for path in files for parent in PurePosixPath(path).parents}
        if top not in folders:
            raise Refusal(404, f"{top} does not exist on {sha}", "EntryNotFound")
        recursive = request.query_params.get("recursive", "").lower() == "true"
        entries = []
        for path in sorted({*map(PurePosixPath, files), *folders} - {PurePosixPath()}):
            if path.parent == top or (recursive and top in path.parents):
                entries.append(_folder(path) if path in folders else files[str(path)].entry(str(path)))
        return entries

    async def _preupload(self, request: Request) -> Any:
        files = self._find(request, write=True).files
        answers = []
        for wish in (await request.json())["files"]:
            path, large = wish["path"], wish["path"].endswith(_LARGE_FILES) or wish["size"] > 10_000_000
            known = files[path].oid if path in files else None
            mode = "lfs" if large else "regular"
            answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": known})
        return {"files": answers}

    async def _lfs_batch(self, request: Request) -> Any:
        self._find(request, write=True)
        objects = (await request.json())["objects"]
        for entry in objects:
            if entry["oid"] not in self.large:
                entry["actions"] = {"upload": {"href": f"{self.endpoint}/lfs/{entry['oid']}"}}
        return {"transfer": "basic", "objects": objects}

    async def _put_large(self, request: Request) -> Any:
        content, oid = await request.body(), request.path_params["oid"]
        if hashlib.sha256(content).hexdigest() != oid:
            raise Refusal(400, "the content is not what its name says")
        self.large[oid] = content

    async def _commit(self, request: Request) -> Any:
        repo = self._find(request, write=True)
        files, message = dict(repo.files), ""
        for line in (await request.body()).splitlines():
            key, value = (entry := json.loads(line))["key"], entry["value"]
            if key == "header":
                message = value["summary"]
                if value.get("parentCommit", repo.sha) != repo.sha:
                    raise Refusal(412, "A commit has happened since. Please refresh and try again.")
            elif key == "file":
                files[value["path"]] = File(base64.b64decode(value["content"]), large=False)
            elif key == "lfsFile":
                if value["oid"] not in self.large:
                    raise Refusal(400, f"{value['path']} was never uploaded")
                files[value["path"]] = File(self.large[value["oid"]], large=True)
            elif key == "deletedFile":
                del files[value["path"]]
            else:
                raise Refusal(400, f"no such operation: {key}")
        repo.commit(message, files)
        return {"commitUrl": f"{self.endpoint}/{repo.id}/commit/{repo.sha}", "commitOid": repo.sha}

    async def _tag(self, request: Request) -> Any:
        repo, tag = self._find(request, write=True), (await request.json())["tag"]
        if tag in repo.tags:
            raise Refusal(409, f"Tag {tag} exists")
        repo.tags[tag] = repo.at(request.path_params["revision"])[0]

    async def _set_variable(self, request: Request) -> Any:
        repo, wish = self._find(request, write=True), await request.json()
        repo.variables[wish["key"]] = wish["value"]
        return {key: {"value": value} for key, value in repo.variables.items()}

    async def _resolve(self, request: Request) -> Response:
        sha, files = self._find(request).at(request.path_params["revision"])
        path = request.path_params["path"]
        if path not in files:
            response = Refusal(404, f"{path} does not exist on {sha}", "EntryNotFound").response()
            response.headers["X-Repo-Commit"] = sha
            return response
        file = files[path]
        headers = {"ETag": f'"{file.oid}"', "X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        if file.large:
            headers |= {"X-Linked-Etag": f'"{file.oid}"', "X-Linked-Size": str(len(file.content))}
        if request.method == "HEAD":
            return Response(headers=headers | {"Content-Length": str(len(file.content))})
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        if not wanted:
            return Response(file.content, headers=headers, media_type="application/octet-stream")
        first, last = int(wanted[1]), min(int(wanted[2] or len(file.content)), len(file.content) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(file.content)}"
        return Response(file.content[first : last + 1], 206, headers, media_type="application/octet-stream")


def _is_evaluated(model: dict[str, Any]) -> bool:
    """Whether an entry of `model-index` is what the Hub's specification asks for."""
    return bool(model["name"]) and all(
        result["task"]["type"]
        and result["dataset"]["type"]
        and result["dataset"]["name"]
        and result["metrics"]
        and all(metric["type"] and isinstance(metric["value"], (int, float)) for metric in result["metrics"])
        for result in model["results"]
    )


def _folder(path: PurePosixPath) -> dict[str, Any]:
    return {"type": "directory", "path": str(path), "size": 0, "oid": hashlib.sha1(str(path).encode()).hexdigest()}
