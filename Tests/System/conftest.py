"""Fixtures of the system tests. SPDX-License-Identifier: Apache-2.0"""
import asyncio
import inspect
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from support import namespace  # noqa: E402

namespace.enter()  # before anything opens a socket or starts a thread

import pytest  # noqa: E402

from support.node import BINARY, ROOT, Node  # noqa: E402
from support.rest import Api  # noqa: E402


def pytest_addoption(parser: pytest.Parser) -> None:
    """--keep keeps logs of what passed too."""
    parser.addoption("--keep", action="store_true", help="keep what passing tests made")


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs `async def` tests, each in a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True


@pytest.fixture(scope="session")
def artefacts() -> pathlib.Path:
    """Where screenshots and logs go."""
    folder = pathlib.Path(os.environ.get("SYSTEM_TEST_ARTEFACTS", ROOT / "artefacts")) / "system"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def node(request: pytest.FixtureRequest, artefacts: pathlib.Path):
    """A running system, one a test file; it must stop well at the end."""
    if not BINARY.exists():
        pytest.fail(f"{BINARY} is missing: swift build -c release --product roundhouse")
    options = getattr(request.module, "NODE_OPTIONS", ())
    node = Node(artefacts, request.module.__name__, *options)
    failed = request.session.testsfailed
    try:
        yield node
    finally:
        node.close()
        if request.session.testsfailed == failed and not request.config.getoption("--keep"):
            for log in artefacts.glob(f"{request.module.__name__}*.log"):
                log.unlink()


@pytest.fixture(scope="module")
def api(node: Node):
    """The REST interface of the system."""
    api = Api(node.url)
    yield api
    api.close()
