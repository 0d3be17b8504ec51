"""All benchmarks, one line each: ours, the baseline of the same run, their ratio and the goal."""

from benchmarks import divergence, embedding, generations, references, selection
from benchmarks.result import arguments, report

if __name__ == "__main__":
    options = arguments(__doc__).parse_args()
    for benchmark in (divergence, embedding, generations, references, selection):
        report(benchmark.run(), as_json=options.json)
