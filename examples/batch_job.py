"""A batch job: a file of questions, answered many at once, resumable.

python examples/batch_job.py [FOLDER]
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from langchain_hf_inference.batch import BatchJob
from served import served

COUNTRIES = ["France", "Italy", "Spain", "Norway", "Japan", "Germany", "Portugal", "Egypt"]


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    source, output = folder / "questions.jsonl", folder / "answers.jsonl"
    lines = [
        {
            "custom_id": country,
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"messages": [{"role": "user", "content": f"What is the capital of {country}?"}], "temperature": 0},
        }
        for country in COUNTRIES
    ]
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))

    with served() as place:
        place.pop("engine", None)
        job = BatchJob(**{name: value for name, value in place.items() if value is not None}, max_concurrency=4)
        done = job.run(source, output)
        again = job.run(source, output)  # whatever is answered is not asked again

    for line in map(json.loads, output.read_text().splitlines()):
        print(f"{line['custom_id']}: {line['response']['body']['choices'][0]['message']['content'].strip()}")
    print(f"{done.succeeded} answered, {done.failed} failed, {done.tokens} tokens; {output}")
    print(f"run again: {again.tokens} tokens")


if __name__ == "__main__":
    main()
