"""Names of settings that people bring from gunicorn and uvicorn, and what to write instead.

A hint names our settings in braces; they are spelt as the place asks for: option, key, variable.
"""

import re
from collections.abc import Callable
from typing import NamedTuple


class Foreign(NamedTuple):
    """A setting of another server: whose it is, and what to do here."""

    owner: str
    hint: str


_BOTH = "gunicorn and uvicorn"
_NO_TLS = "there is no TLS yet, let a proxy such as nginx end it"
_NO_RECYCLING = (
    "workers are not replaced after a number of requests yet, send SIGHUP from a timer instead "
    "(docs/deploying.md)"
)
_BY_SYSTEMD = "write {systemd} into the unit of systemd (docs/deploying.md)"
_IN_CODE = "configure the loggers gohttp and gohttp.access with logging in the app"
_NO_PIDFILE = "there is no pid file, systemd or a container keeps track of the process"
_NO_HEADERS = "responses carry what the app sets"
_NO_METRICS = "there are no metrics yet"
_STRICT = "such a request gets a 400, always"
_HOOK = "there are no hooks, see what takes their place in docs/coming-from-gunicorn.md"
_TASK_QUEUE = (
    "there are no workers beside those for requests, have a task queue (Celery, RQ) for it"
)
_BY_SIGNALS = "workers are controlled by signals only (docs/deploying.md)"
_HTTP2 = "it cannot be set for HTTP/2"

_GUNICORN = {
    "bind b": "write {host} and {port}, or {uds} for a Unix socket",
    "config c": "write the settings into gohttp.toml (docs/configuration.md)",
    "worker_class k": "there is one kind of worker, see {threads} and {interface}",
    "worker_connections": "write {max_connections}",
    "timeout t": "write {request_timeout}, which is per request (docs/coming-from-gunicorn.md)",
    "keep_alive keepalive": "write {idle_timeout}",
    "max_requests max_requests_jitter": _NO_RECYCLING,
    "preload preload_app": "each worker imports the app itself, it cannot be loaded before the "
    "fork yet",
    "daemon D": "let systemd or a container run it (docs/deploying.md)",
    "pid pidfile": _NO_PIDFILE,
    "user u": _BY_SYSTEMD.replace("{systemd}", "User="),
    "group g initgroups": _BY_SYSTEMD.replace("{systemd}", "Group="),
    "umask m": _BY_SYSTEMD.replace("{systemd}", "UMask=")
    + "; {uds_mode} sets who may connect to a Unix socket",
    "chdir": "write {app_dir} for where the app is imported from",
    "pythonpath": "write {app_dir}, or set PYTHONPATH",
    "env e raw_env": "set the variable before the command, or write {env_file}",
    "name n proc_name default_proc_name": "the name of the process cannot be set",
    "certfile keyfile ca_certs cert_reqs ciphers ssl_version ssl_context suppress_ragged_eofs "
    "do_handshake_on_connect": _NO_TLS,
    "access_logfile accesslog": "write {access_log}; the lines go to stdout",
    "access_logformat access_log_format": "the line has one format (docs/behaviour.md)",
    "error_logfile log_file errorlog": "messages go to stderr, redirect that",
    "loglevel": "write {log_level}",
    "logger_class log_config_json logconfig logconfig_dict logconfig_json": _IN_CODE,
    "capture_output enable_stdio_inheritance R": "the app's stdout and stderr are left alone",
    "log_syslog log_syslog_to log_syslog_prefix log_syslog_facility syslog syslog_addr "
    "syslog_prefix syslog_facility disable_redirect_access_to_syslog": _IN_CODE,
    "statsd_host statsd_prefix dogstatsd_tags enable_backlog_metric": _NO_METRICS,
    "limit_request_line": "write {max_target_size}",
    "limit_request_fields": "write {max_headers}",
    "limit_request_field_size": "write {max_head_size}, for all headers together",
    "reuse_port": "workers share one socket already",
    "reload_engine": "{reload} uses watchfiles",
    "reload_extra_file reload_extra_files": "write {reload_dir}; .py files are watched only",
    "worker_tmp_dir": "there is no heartbeat file",
    "check_config print_config spew": "there is nothing like it",
    "paste paster paste_global raw_paste_global_conf": "name a function that calls loadapp, as in "
    "module:make_app()",
    "protocol uwsgi_allow_ips uwsgi_allow_from": "only HTTP is spoken, write proxy_pass and not "
    "uwsgi_pass into nginx",
    "http_protocols http2_cleartext": "HTTP/2 with prior knowledge is served on the same port, "
    "always",
    "http2_max_concurrent_streams http2_initial_window_size http2_max_frame_size "
    "http2_max_header_list_size": _HTTP2,
    "http_parser": "the parser is built in",
    "permit_obsolete_folding strip_header_spaces": _STRICT,
    "permit_unconventional_http_method casefold_http_method": "every method but CONNECT is passed "
    "on as it was sent",
    "permit_unconventional_http_version": "HTTP/1.0, HTTP/1.1 and HTTP/2 are served, no others",
    "tmp_upload_dir": "bodies are not written to disk",
    "asgi_disconnect_grace_period": "the app hears of a client that leaves at once",
    "control_socket control_socket_mode control_socket_disable no_control_socket": _BY_SIGNALS,
    "on_starting on_reload on_exit when_ready pre_fork post_fork post_worker_init worker_int "
    "worker_abort worker_exit pre_exec pre_request post_request child_exit nworkers_changed": _HOOK,
    "dirty_app dirty_apps dirty_workers dirty_timeout dirty_threads dirty_graceful_timeout "
    "on_dirty_starting dirty_post_fork dirty_worker_init dirty_worker_exit": _TASK_QUEUE,
    "proxy_protocol proxy_allow_from proxy_allow_ips": "let the proxy send X-Forwarded-For, and "
    "write {trusted_proxies}",
    "forwarder_headers header_map secure_scheme_headers": "X-Forwarded-For and -Proto are read "
    "from {trusted_proxies}, no others",
    "asgi_loop": "write {loop}",
    "asgi_lifespan": "write {lifespan}",
    "websocket_max_message_size": "write {ws_max_size}",
    "no_sendfile sendfile": "files are always sent by the kernel where they can be",
    "wsgi_app": "give the app as TARGET, as in gohttp serve module:app",
}

_UVICORN = {
    "proxy_headers no_proxy_headers": "X-Forwarded-For and -Proto are always read from "
    "{trusted_proxies}; '' there turns that off",
    "ws": "WebSockets are built in",
    "http": "the parser is built in",
    "limit_max_requests limit_max_requests_jitter": _NO_RECYCLING,
    "timeout_keep_alive": "write {idle_timeout}",
    "timeout_graceful_shutdown": "write {graceful_timeout}",
    "timeout_worker_healthcheck": "workers have no health check of their own",
    "ssl_keyfile ssl_certfile ssl_keyfile_password ssl_version ssl_cert_reqs ssl_ca_certs "
    "ssl_ciphers": _NO_TLS,
    "fd": "let a .socket unit of systemd hand the socket over (docs/deploying.md)",
    "ws_per_message_deflate": "write {ws_compression}",
    "ws_max_queue": "it cannot be set",
    "h11_max_incomplete_event_size": "write {max_head_size}",
    "reload_include reload_exclude reload_delay": "write {reload_dir}; .py files are watched only",
    "use_colors no_use_colors": "colours are used on a terminal, unless NO_COLOR is set",
    "header": _NO_HEADERS,
    "server_header no_server_header": "there is no Server header unless the app sets one",
    "date_header no_date_header": "responses always carry Date",
    "http2": "HTTP/2 with prior knowledge is served on the same port, always",
    "reset_contextvars": "requests never see context variables of the lifespan",
}

_SHARED = {
    "forwarded_allow_ips": "write {trusted_proxies}",
    "log_config": _IN_CODE,
}

_TABLE = {
    name: Foreign(owner, hint)
    for owner, hints in (("gunicorn", _GUNICORN), ("uvicorn", _UVICORN), (_BOTH, _SHARED))
    for names, hint in hints.items()
    for name in names.split()
}


def explain(name: str, spell: Callable[[str], str]) -> str | None:
    """What to do instead of a foreign setting, to complete `NAME …`; None for other names.

    `name` may be an option, a key, or the tail of a variable; `spell` turns the name of one of
    our settings into what is written at that place.
    """
    tail = name.lstrip("-")
    # One letter is told apart by its case: -d is not -D.
    found = _TABLE.get(tail if len(tail) == 1 else tail.replace("-", "_").lower())
    if found is None:
        return None
    hint = re.sub(r"\{(\w+)\}", lambda match: spell(match[1]), found.hint)
    return f"is a setting of {found.owner}, not of gohttp: {hint}."
