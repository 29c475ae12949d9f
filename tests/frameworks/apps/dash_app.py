"""A small Dash app: a page with a field, and callbacks behind it."""

from typing import Any

import flask
from dash import Dash, Input, Output, State, callback, dcc, html, no_update
from dash.exceptions import PreventUpdate

app = Dash(__name__, title="Greetings", serve_locally=True)
server = app.server

app.layout = html.Div(
    [
        html.H1("Grüße"),
        dcc.Input(id="name", value="Welt"),
        html.Button("Greet", id="greet", n_clicks=0),
        html.P(id="greeting"),
        html.P(id="clicks"),
    ]
)


@callback(
    Output("greeting", "children"),
    Output("clicks", "children"),
    Input("greet", "n_clicks"),
    State("name", "value"),
    prevent_initial_call=True,
)
def greet(clicks: int, name: str) -> tuple[Any, Any]:
    if not name:
        raise PreventUpdate
    if name == "fail":
        raise ZeroDivisionError("the Dash callback divides by zero")
    greeting = html.B(f"Hello {name}!")
    return greeting, (no_update if clicks > 100 else f"{clicks} clicks")


@server.get("/health")
def health() -> flask.Response:
    return flask.jsonify(up=True)
