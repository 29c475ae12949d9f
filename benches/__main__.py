"""`python -m benches`: see benches/README.md."""

import argparse
import sys
from pathlib import Path

from . import load, machine, report, results, services, websocket_load
from .idle import IdleWebSockets
from .measure import Cores, choose_cores
from .peers import Peers
from .places import CACHE, RESULTS
from .rows import ROWS, Row, chosen
from .runner import Runner
from .scenarios import Scenario, scenarios


def arguments(words: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        "python -m benches", description="Measure gohttp beside its peers on this machine."
    )
    add = parser.add_argument
    add("--rows", metavar="A,B", help="rows to run, * for anything (default: all)")
    add("--scenarios", metavar="A,B", help="scenarios to run, or all (default: see --list)")
    add("--rounds", type=positive, help="rounds, interleaved (default: 5)")
    add("--seconds", type=positive, help="length of a run of wrk (default: 3)")
    add("--quick", action="store_true", help="one round of one second: a look, not a result")
    add("--out", type=Path, metavar="DIR", help="where results go (default: benches/results, or"
        " benches/.cache/results for --quick and --rows)")  # fmt: skip
    add("--cores", type=cores, metavar="S,L", help="cores of the server and of the load")
    add("--list", action="store_true", help="name the rows and the scenarios")
    add("--redraw", action="store_true", help="write tables and pictures anew from latest.json")
    return parser.parse_args(words)


def positive(word: str) -> int:
    """A whole number above zero."""
    number = int(word)
    if number < 1:
        raise ValueError(word)
    return number


def cores(word: str) -> Cores:
    """Two core numbers."""
    server, load_core = word.split(",")
    return Cores(int(server), int(load_core))


def pick(known: dict[str, Scenario], names: str | None) -> list[Scenario]:
    """The scenarios asked for; ValueError for one that does not exist."""
    if not names:
        return [scenario for scenario in known.values() if not scenario.optional]
    if names == "all":
        return list(known.values())
    for name in names.split(","):
        if name not in known:
            raise ValueError(f"no scenario is called {name!r}; there are {', '.join(known)}")
    return [known[name] for name in names.split(",")]


def measure(options: argparse.Namespace, words: list[str], out: Path) -> int:
    """A whole run."""
    rounds = options.rounds or (1 if options.quick else 5)
    seconds = options.seconds or (1 if options.quick else 3)
    try:
        wanted = pick(scenarios(seconds, options.quick), options.scenarios)
        rows = chosen(options.rows.split(",") if options.rows else [])
    except ValueError as error:
        report.say(str(error))
        return 2
    wanted = [scenario.without(services.absent(scenario.services)) for scenario in wanted]
    for note in (note for scenario in wanted for note in scenario.notes):
        report.say(note)
    plan: list[tuple[Scenario, list[Row]]] = [
        (scenario, [row for row in rows if scenario.takes(row)]) for scenario in wanted
    ]
    plan = [(scenario, taken) for scenario, taken in plan if taken and scenario.variants]
    if not plan:
        report.say("none of these rows takes part in these scenarios")
        return 2
    generators = {
        variant.load.command("")[0]
        for scenario, _ in plan
        for variant in scenario.variants
        if not isinstance(variant.load, IdleWebSockets)
    }
    if str(websocket_load.PROGRAM) in generators and (problem := websocket_load.build()):
        report.say(problem)
        return 1
    lacking = load.missing(generators)
    for line in lacking:
        report.say(line)
    if lacking:
        return 1
    used = options.cores or choose_cores()
    if used.server == used.load:
        report.say("only one core: server and load share it, so the rates say little")
    about = machine.about(words, rounds, used)
    peers = Peers(report.say)
    skipped = peers.prepare([row for row in rows if any(row in taken for _, taken in plan)])
    for name, reason in skipped.items():
        report.say(f"skipping {name}: {reason}")
    runner = Runner(peers, used, rounds, seconds, report.step)
    runner.run(plan, skipped, about, lambda result: report.publish(result, out))
    return 0


def main(words: list[str]) -> int:
    """The exit status."""
    options = arguments(words)
    if options.list:
        report.listing(ROWS, scenarios(options.seconds or 3, options.quick).values())
        return 0
    aside = options.quick or options.rows
    out = (options.out or (CACHE / "results" if aside else RESULTS)).resolve()
    if options.redraw:
        for result in results.load(out / "latest.json"):
            report.write(result, out)
        return 0
    try:
        return measure(options, words, out)
    except KeyboardInterrupt:
        report.say("stopped; scenarios that had ended are written")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
