"""Writes the model card's accuracy table between its markers: `python card.py MODEL_FOLDER` (reads metrics.json there)."""

import json
import sys

START, END = "<!-- accuracy -->\n", "<!-- end -->\n"


def table(metrics: dict) -> str:
    percent = lambda value: "-" if value is None else f"{100 * value:.1f} %"
    rows = ["| task | n | accuracy (95 % interval) | chance | no video | one frame repeated | first, last frame alone | "
            "reversed turns into the opposite | frames unable to read one another: accuracy, mean cost |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for task, m in metrics.items():
        low, high = (f"{100 * v:.1f}" for v in m["interval95"])
        rows.append(f"| {task} | {m['n']} | {percent(m['accuracy'])} ({low}-{high}) | {percent(m['chance'])} | {percent(m['no_video'])} | "
                    f"{percent(m['one_frame_repeated'])} | {percent(m['first_frame_alone'])}, {percent(m['last_frame_alone'])} | "
                    f"{percent(m['reversed_turns_opposite'])} | {percent(m['cross_frame_cut'])}, {m['cross_frame_cost']:.1f} % |")
    return "\n".join(rows) + "\n"


def main(folder: str) -> None:
    with open(f"{folder}/metrics.json") as file:
        metrics = json.load(file)
    with open(f"{folder}/README.md") as file:
        before, rest = file.read().split(START)
    with open(f"{folder}/README.md", "w") as file:
        file.write(before + START + table(metrics) + END + rest.split(END)[1])


if __name__ == "__main__":
    main(sys.argv[1])
