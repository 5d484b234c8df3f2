"""A branch of a git repository as a source, with `.access.yaml` files saying who may read what."""

import os
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath, PurePosixPath
from types import MappingProxyType
from urllib.parse import unquote_to_bytes

from connectors.access_files import (
    ACCESS_FILE,
    MAX_ACCESS_FILE_BYTES,
    AccessFile,
    Grant,
    MalformedAccessFile,
    read_access_file,
)
from connectors.access_rules import ACCESS_FILES, Malformed, Rule, nearest, rule_of
from connectors.file_names import is_hidden, media_type_of, readable_title
from connectors.git_commands import Blob, Git
from connectors.protocols import Cursor, Gone, Listed, Page, Problem, Resource, Seen
from rag.access import NOBODY, AccessList
from rag.bodies import Spool, temporary_spool
from rag.errors import CursorExpired, SourceGone, SourceUnavailable
from rag.types import Metadata, SourceId, no_metadata

DEFAULT_MAX_BYTES = 100 * 1024 * 1024
_FETCHED = "refs/rag/head"
_TOP = PurePosixPath("/")


@dataclass(frozen=True, slots=True)
class _Tree:
    """The documents of one commit, and who may read them."""

    commit: str
    files: Mapping[str, Blob]
    rules: Mapping[PurePath, Rule]


@dataclass(frozen=True, slots=True, kw_only=True)
class GitConnector:
    """The files of a branch, below `folder`. A document's revision is its blob's id, the cursor a
    commit's.

    A repository at a path is read where it is. Of one at a `url`, `mirror` keeps a bare copy, which
    is brought up to date whenever the source is listed, and read by `fetch`. Symbolic links and
    submodules are never followed. `default_access` and `default_metadata` apply where no access
    file stands between a file and `folder`; a malformed one counts as standing there, and admits
    nobody.
    """

    source: SourceId
    repository: Path
    """Where the objects are: the repository itself, or the mirror of `url`."""
    url: str | None = None
    branch: str | None = None
    """None: the one that is checked out, or that the other side calls its HEAD."""
    folder: str = ""
    default_access: AccessList = NOBODY
    default_metadata: Metadata = field(default_factory=no_metadata)
    max_bytes: int = DEFAULT_MAX_BYTES
    spool: Spool = field(default_factory=temporary_spool)
    protocols: str = "https:ssh"
    timeout_s: float = 600

    @property
    def delta(self) -> "_GitDelta":
        return _GitDelta(self)

    async def listing(self) -> AsyncGenerator[Listed | Problem]:
        tree = await self.tree_of(await self.newest())
        if self.folder and not tree.files:
            raise SourceUnavailable("the folder is not in the branch, or has no files")
        commits = await self.git.last_commits(tree.commit, self.folder)
        for problem in self.problems_of(tree):
            yield problem
        for path in tree.files:
            yield self.listed(tree, path, commits)

    async def fetch(self, uri: str) -> Resource:
        path = self._path_of(uri)
        if not self.repository.is_dir():
            raise SourceUnavailable("the repository is not there")
        commit = await self.git.commit_of(self._reference)
        tree = await self.tree_of(commit, paths=[path, *_access_files_above(path)])
        blob = tree.files.get(path)
        if blob is None:
            raise SourceGone("the file is not in the branch")
        body = await self.git.body_of(blob, max_bytes=self.max_bytes, spool=self.spool)
        commits = await self.git.last_commits(commit, path)
        listed = self.listed(tree, path, commits)
        assert listed.access is not None  # noqa: S101 - a tree always says
        name = PurePosixPath(path).name
        return Resource(
            uri=uri,
            title=readable_title(name),
            body=body,
            media_type=media_type_of(name),
            access=listed.access,
            seen=listed.seen,
            metadata=listed.metadata,
        )

    async def aclose(self) -> None:
        """Nothing stays open between calls."""

    # --- what there is --------------------------------------------------------------------------

    @property
    def git(self) -> Git:
        return Git(repository=self.repository, timeout_s=self.timeout_s)

    @property
    def _reference(self) -> str:
        if self.url is not None:
            return _FETCHED
        return "HEAD" if self.branch is None else f"refs/heads/{self.branch}"

    async def newest(self) -> str:
        """The branch's commit now, after asking the other side where there is one."""
        if self.url is not None:
            git = Git(
                repository=self.repository, protocols=self.protocols, timeout_s=self.timeout_s
            )
            try:
                self.repository.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SourceUnavailable("the repository's copy cannot be kept") from error
            await git.run("init", "--bare", "--quiet", "--template=", ".")
            wanted = "HEAD" if self.branch is None else f"refs/heads/{self.branch}"
            await git.run(
                "fetch", "--quiet", "--no-tags", "--no-recurse-submodules",
                "--no-write-fetch-head", "--end-of-options", self.url, f"+{wanted}:{_FETCHED}",
            )  # fmt: skip
        elif not self.repository.is_dir():
            raise SourceUnavailable("the repository is not there")
        return await self.git.commit_of(self._reference)

    async def tree_of(self, commit: str, *, paths: Collection[str] = ()) -> _Tree:
        """The documents at `commit`, all or those of `paths`, with what access files say of them."""
        wanted = list(paths) or ([self.folder] if self.folder else [])
        found = await self.git.tree(commit, wanted)
        below = {path: blob for path, blob in found.items() if self._is_below(path)}
        files = {
            path: blob for path, blob in below.items() if blob.is_plain and not _is_hidden(path)
        }
        return _Tree(commit, MappingProxyType(files), await self._rules_of(below))

    async def _rules_of(self, files: Mapping[str, Blob]) -> Mapping[PurePath, Rule]:
        names: dict[PurePosixPath, dict[str, Blob]] = {}
        for path, blob in files.items():
            place = _TOP / path
            if place.name in ACCESS_FILES and not _is_hidden(str(place.parent)):
                names.setdefault(place.parent, {})[place.name] = blob
        readable = {
            there[ACCESS_FILE].oid
            for there in names.values()
            if ACCESS_FILE in there and _can_be_read(there[ACCESS_FILE])
        }
        contents = await self.git.contents(readable, max_bytes=MAX_ACCESS_FILE_BYTES)
        rules: dict[PurePath, Rule] = {}
        for folder, there in names.items():

            def read(folder: PurePosixPath = folder, there: dict[str, Blob] = there) -> AccessFile:
                if not _can_be_read(there[ACCESS_FILE]):
                    raise MalformedAccessFile("it is no plain file, or too large")
                content = contents[there[ACCESS_FILE].oid]
                root = Path("/") / self.folder
                return read_access_file(content, folder=Path(folder), root=root)

            if (rule := rule_of(there.keys(), read)) is not None:
                rules[folder] = rule
        return MappingProxyType(rules)

    def problems_of(self, tree: _Tree) -> Iterable[Problem]:
        for folder, rule in tree.rules.items():
            if isinstance(rule, Malformed):
                yield Problem(self.uri_of(str(folder / ACCESS_FILE)[1:]), rule.reason)

    def listed(self, tree: _Tree, path: str, commits: Mapping[str, tuple[str, str]]) -> Listed:
        blob = tree.files[path]
        place = _TOP / path
        default = Grant(self.default_access, self.default_metadata)
        governed = nearest(tree.rules, place.parent, _TOP / self.folder, default)
        grant, fingerprint = governed.grant_of(place)
        metadata = dict(grant.metadata)
        if "supersedes" in metadata:
            superseded = str(metadata["supersedes"]).removeprefix("file://")
            metadata["supersedes"] = f"{self._base}/-{superseded}"
        if path in commits:
            moment, author = commits[path]
            metadata = {"modified": moment, "author": author} | metadata
        return Listed(
            uri=self.uri_of(path),
            seen=Seen(blob.oid, fingerprint, identity=blob.oid),
            access=grant.access,
            metadata=MappingProxyType(metadata),
            size=blob.size,
        )

    # --- addresses ------------------------------------------------------------------------------

    @property
    def _base(self) -> str:
        place = self.repository.as_uri() if self.url is None else self.url.rstrip("/")
        return f"git+{place}"

    def uri_of(self, path: str) -> str:
        return f"{self._base}/-{(Path('/') / path).as_uri().removeprefix('file://')}"

    def _path_of(self, uri: str) -> str:
        """The path that `uri` names. Raises `SourceGone` unless a listing could have given it."""
        before = f"{self._base}/-/"
        path = os.fsdecode(unquote_to_bytes(uri.removeprefix(before)))
        if not uri.startswith(before) or not path or "\0" in path or self.uri_of(path) != uri:
            raise SourceGone("no document of this branch has that address")
        if ".." in PurePosixPath(path).parts or _is_hidden(path) or not self._is_below(path):
            raise SourceGone("no document of this branch has that address")
        return path

    def _is_below(self, path: str) -> bool:
        return not self.folder or path.startswith(f"{self.folder}/")


@dataclass(frozen=True, slots=True)
class _GitDelta:
    """What a branch's commits changed."""

    connector: GitConnector

    async def now(self) -> Cursor:
        return Cursor(await self.connector.newest())

    async def since(self, cursor: Cursor) -> AsyncGenerator[Page]:
        """One page, up to the branch's newest commit. A history that was rewritten expires the
        cursor."""
        connector = self.connector
        commit = await connector.newest()
        if commit == cursor:
            return
        if not await connector.git.is_ancestor(cursor, commit):
            raise CursorExpired("the branch's history was rewritten")
        tree = await connector.tree_of(commit)
        changed = await connector.git.changed(cursor, commit, connector.folder)
        governed = _governed_by_changed_access_files(changed)
        span = commit if governed else f"{cursor}..{commit}"
        commits = await connector.git.last_commits(span, connector.folder)

        found: dict[str, Listed | Gone] = {}
        for before, _ in changed:
            if before is not None and before not in tree.files and not _is_hidden(before):
                found[before] = Gone(connector.uri_of(before))
        for path in tree.files:
            if any(PurePosixPath(path).is_relative_to(folder) for folder in governed):
                found[path] = connector.listed(tree, path, commits)
        for before, after in changed:
            if after is not None and after in tree.files:
                listed = connector.listed(tree, after, commits)
                if before is not None and before != after and before not in tree.files:
                    listed = replace(listed, moved_from=connector.uri_of(before))
                found[after] = listed
        problems = connector.problems_of(tree) if governed else ()
        yield Page((*problems, *found.values()), Cursor(commit))


def _governed_by_changed_access_files(
    changed: Iterable[tuple[str | None, str | None]],
) -> set[PurePosixPath]:
    """The folders of access files that came, went or were changed."""
    paths = {PurePosixPath(path) for pair in changed for path in pair if path is not None}
    return {path.parent for path in paths if path.name in ACCESS_FILES}


def _access_files_above(path: str) -> Iterator[str]:
    for folder in PurePosixPath(path).parents:
        for name in ACCESS_FILES:
            yield str(folder / name)


def _can_be_read(access_file: Blob) -> bool:
    return access_file.is_plain and access_file.size <= MAX_ACCESS_FILE_BYTES


def _is_hidden(path: str) -> bool:
    return any(is_hidden(part) for part in PurePosixPath(path).parts)
