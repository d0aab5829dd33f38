"""The benchmark: The main benchmark.

`.venv/bin/python tests/benchmarks/run.py` prints one table. Most of its lines have a floor.

Needs wrk (Debian: apt-get install wrk) and granian (pip install granian).

- Phonify and a bare Flask view (`bare.py`) run side by side on the same stock server with the same
  flags, once on gunicorn and once on granian; delivery runs beside them (`flask --app app worker`).
  gunicorn is started with `--reuse-port` for both: with one listening socket, kept-alive
  connections often all belong to one of the two workers, at random, and a ratio means nothing.
- `--former COMMIT_OR_PATH` sets `python app.py` of another checkout beside Phonify on granian.
- All other lines are of `python app.py`, with databases of the sizes that `--sizes` names.

Runs are short, and the servers take turns. Each round gives one ratio. The figure is the median of all rounds. With 16
connections, the ratio compares rates. With one connection, it compares median latencies. Each message goes to another
phone. No server writes an access log. Other programs on the machine change the absolute figures. They change ratios
only a little.
"""

import argparse
import importlib.util
import json
import shutil
import sys
import tempfile
from pathlib import Path

from beside import compare_on
from plan import Plan
from servers import ROOT, check_out
from sizes import measure_sizes
from table import format_lines


def main() -> None:
    """Measure everything and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two to three minutes instead of ten; smaller sizes")
    parser.add_argument("--sizes", help="10000,1000000 by default, 10000,100000 with --quick")
    parser.add_argument("--rounds", type=int, help="7 by default, 3 with --quick")
    parser.add_argument("--former", metavar="COMMIT_OR_PATH", help="another checkout, to compare with")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table there as well")
    parser.add_argument("--folder", help="where the databases go; by default the system's temporary folder")
    options = parser.parse_args()
    if shutil.which("wrk") is None or importlib.util.find_spec("granian") is None:
        raise SystemExit("wrk and granian are needed: apt-get install wrk; pip install granian")
    sizes = options.sizes or ("10000,100000" if options.quick else "10000,1000000")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        plan = Plan(
            folder=Path(folder),
            checkout=ROOT,
            former=check_out(options.former, Path(folder)) if options.former else None,
            former_name=options.former or "a former commit",
            sizes=sorted(map(int, sizes.split(","))),
            rounds=options.rounds or (3 if options.quick else 7),
            queued=30_000 if options.quick else 100_000,
        )
        lines = []
        for stock in ("gunicorn", "granian"):
            print(f"measuring on {stock} ...", file=sys.stderr, flush=True)
            lines += compare_on(stock, plan)
        print("measuring `python app.py` ...", file=sys.stderr, flush=True)
        lines += measure_sizes(plan)
    print(format_lines(lines))
    if options.json:
        options.json.write_text(json.dumps([line.to_dict() for line in lines], indent=1) + "\n")


if __name__ == "__main__":
    main()
