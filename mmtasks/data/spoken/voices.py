"""Who speaks: voices of train, val and test share accents, but neither a variant of espeak-ng, a speed nor a pitch."""

import random
from collections.abc import Sequence

from mmtasks.data.scenes.splits import SPLITS, check_choice
from mmtasks.data.spoken.synthesis import Voice

ACCENTS = ("en-us", "en", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan", "en-us-nyc")
"""American, British, Received Pronunciation, Scottish, Lancastrian, New York."""
VARIANTS = {
    "train": (
        *("Alex", "Alicia", "Denis", "Diogo", "Gene", "Gene2", "Henrique", "Hugo", "Marco", "Mike", "Nguyen", "adam"),
        *("anika", "antonio", "aunty", "belinda", "benjamin", "boris", "david", "ed", "edward2", "f1", "f2", "f3"),
        *("f5", "grandma", "gustave", "ian", "iven", "iven4", "john", "klatt", "klatt4", "klatt6", "linda", "m1"),
        *("m2", "m5", "m6", "m8", "marcelo", "max", "miguel", "mike2", "norbert", "pablo", "paul", "pedro", "quincy"),
        *("rob", "robert", "sandro", "travis", "zac"),
    ),
    "val": ("Annie", "Mario", "iven3", "klatt2", "kaukovalta", "m4", "steph2"),
    "test": (
        *("Andrea", "Andy", "Lee", "Michael", "edward", "f4", "grandpa", "klatt3", "m3", "m7", "michel", "shelby"),
        *("steph", "victor"),
    ),
}
"""Those that sound like people and give the same samples on every run."""
SPEEDS = {"train": (115, 125, 135, 145, 155), "val": (120, 150), "test": (118, 130, 140, 152)}
PITCHES = {"train": (26, 34, 42, 50, 58, 66, 74), "val": (38, 62), "test": (30, 46, 54, 70)}
INTONATIONS = (30, 50, 70)


def draw_voice(split: str, rng: random.Random, accents: Sequence[str] = ACCENTS) -> Voice:
    """A voice of a split. ValueError for an unknown split."""
    check_choice("split", split, SPLITS)
    return Voice(
        rng.choice(accents),
        rng.choice(VARIANTS[split]),
        rng.choice(SPEEDS[split]),
        rng.choice(PITCHES[split]),
        rng.choice(INTONATIONS),
    )
