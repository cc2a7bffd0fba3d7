"""nginx and Caddy in front of a port, with their default proxy settings: nothing here tunes them for streams."""

from __future__ import annotations

import os
import shutil
import sysconfig
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from .servers import ServerProcess, free_port, running

__all__ = ["PROXIES", "running_proxy"]

PROXIES = ("nginx", "caddy")

# What is here makes nginx run without root and apart from the machine's own; the proxying is one line.
NGINX = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            {more}
        }}
    }}
}}
"""

CADDY = """
{{
    admin off
    auto_https off
    persist_config off
}}
http://127.0.0.1:{port} {{
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:{upstream}
}}
"""


def running_proxy(name: str, *, upstream: int, folder: Path, more: str = "") -> AbstractContextManager[ServerProcess]:
    """One of `PROXIES` in front of `upstream`. Skips the test when it is not installed.

    `more` stands beside nginx's `proxy_pass`.
    """
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / f"{name}.conf"
    # As root nginx gives its workers to `nobody`, who may not enter the test's folder.
    user = "user root;" if os.geteuid() == 0 else ""
    template = NGINX if name == "nginx" else CADDY
    config.write_text(template.format(folder=folder, port=port, upstream=upstream, user=user, more=more))
    if name == "nginx":
        command = [_program("nginx", "/usr/sbin:/usr/local/sbin"), "-e", "stderr", "-p", str(folder), "-c", str(config)]
    else:
        # The wheel puts Caddy beside this Python.
        command = [_program("caddy", sysconfig.get_path("scripts")), "run", "--config", str(config)]
        command += ["--adapter", "caddyfile"]
    env = {"HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    return running(command, port=port, folder=folder, name=name, env=env)


def _program(name: str, places: str) -> str:
    path = shutil.which(name, path=places) or shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path
