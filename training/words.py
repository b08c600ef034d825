"""The words the embedded model knows whole; everything else is spelt in characters."""

SYSTEM = (
    "Carefully watch the video and pay attention to the cause and sequence of events, the detail and "
    "movement of objects, and the action and pose of persons. Based on your observations, select the best "
    "option that accurately addresses the question.\n"
)
COLOURS = ["red", "green", "blue", "yellow", "purple", "orange"]
SHAPES = ["circle", "square", "triangle", "star"]
SCENES = ["beach", "forest", "night", "desert", "snow", "sunset"]
DIRECTIONS = ["Up", "Down", "Left", "Right"]
NUMBERS = ["1", "2", "3", "4"]
LETTERS = list("ABCDEFGH")

_OTHER = """
USER Question Options Only give best option ASSISTANT Best What Which How In What's does do did is are was were
happens happened happen first then next last before after order events event direction move moves moving moved
many objects appear appears appeared pass passes scene scenes change changes changed from to of the a an and
grow grows growing shrink shrinks shrinking rise rises rising fall falls falling open opens opening close closes
closing approach approaches approaching apart away turn turns one two three four up down left right circles
squares triangles stars action doing shape object its it video clip background towards each other size way go
goes going there in on with during over time count number transition takes place kind Describe seen
"""
WORDS = list(dict.fromkeys(
    SYSTEM.replace(",", " ").replace(".", " ").split() + _OTHER.split()
    + COLOURS + SHAPES + SCENES + DIRECTIONS + [d.lower() for d in DIRECTIONS]
    + ["Where", "at", "end", "middle"]
))
