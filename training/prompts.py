"""The reference's prompt, unchanged."""

from words import SYSTEM


def multiple_choice(question: str, options: list[str]) -> str:
    lines = "\n".join(f"({chr(65 + i)}) {option}" for i, option in enumerate(options))
    return (f"{SYSTEM} USER: <image>\n USER: Question: {question}\nOptions:\n{lines} "
            "\nOnly give the best option. ASSISTANT:Best option:(")


def open_ended(question: str) -> str:
    return f"{SYSTEM} USER: <image>\n USER: {question} ASSISTANT:"
