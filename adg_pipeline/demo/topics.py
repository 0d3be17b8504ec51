"""Topics: the everyday scenes that instructions are set in. They cut across the skills.

Quotas are proportional to semantic bins; if bins followed the skills, they would undo the score. With a scene in each
instruction the bins follow the scene, and every scene asks for every skill.
"""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """Words of one scene. All parts fit the frames below without inflection."""

    name: str
    labels: tuple[str, ...]
    people: tuple[str, ...]
    deeds: tuple[str, ...]
    places: tuple[str, ...]
    things: tuple[str, ...]
    traits: tuple[str, ...]


def _topic(entry: str) -> Topic:
    name, *parts = [part.strip() for part in entry.split("|")]
    labels, people, deeds, places, things, traits = (tuple(p.strip() for p in part.split(",")) for part in parts)
    return Topic(name, labels, people, deeds, places, things, traits)


# Name, labels, people, deeds; on the second line places, things, traits.
_TABLE = """
harbour | boat code, berth mark | a sailor, the ferry pilot | ties the ropes, watches the tide
    at the quay, near the lighthouse | the fishing boat, the anchor | heavy, wet with salt
garden | seed label, plant code | a gardener, the florist | waters the roses, prunes the hedge
    in the garden, by the greenhouse | the tomato plant, the old rake | green, full of buds
kitchen | recipe code, spice label | a cook, the baker | stirs the soup, kneads the dough
    in the kitchen, by the oven | the copper pot, the warm bread | hot, sweet
railway | train number, ticket code | a conductor, the engine driver | checks the tickets, waits for the signal
    on the platform, in the train | the steam engine, the sleeping car | late, long
stars | star name, telescope code | an astronomer, the observer | maps the galaxy, follows the comet
    under the night sky, in the observatory | the telescope, the bright planet | distant, faint
football | team code, shirt mark | a striker, the coach | kicks the ball, plans the match
    on the pitch, in the stadium | the goal, the winning team | fast, tired
music | song code, note row | a pianist, the choir leader | plays the tune, tunes the strings
    in the concert hall, on the stage | the violin, the drum | loud, in tune
hospital | patient code, ward mark | a nurse, the surgeon | washes the wound, reads the chart
    in the hospital, on the ward | the medicine, the clean bandage | careful, sterile
library | book code, shelf mark | a librarian, the reader | sorts the novels, turns the page
    in the library, between the shelves | the dictionary, the old poem | quiet, dusty
farm | cattle tag, barn code | a farmer, the shepherd | feeds the cows, gathers the hay
    on the farm, in the barn | the tractor, the brown calf | muddy, hungry
school | class code, pupil mark | a teacher, the pupil | writes on the blackboard, answers the question
    in the classroom, at school | the homework, the new pencil | clever, hard
market | price tag, stall code | a merchant, the buyer | weighs the apples, counts the coins
    at the market, behind the stall | the basket, the ripe cheese | cheap, fresh
forest | tree mark, trail code | a ranger, the hunter | follows the deer, cuts the wood
    in the forest, under the oak | the owl, the mossy log | wild, dark
airport | flight code, gate mark | a pilot, the traveller | boards the plane, lifts the suitcase
    at the airport, on the runway | the aircraft, the lost passport | crowded, delayed
museum | exhibit code, vault mark | a curator, the painter | hangs the portrait, restores the vase
    in the museum, in the gallery | the marble statue, the gold mask | ancient, rare
mountain | peak code, rope tag | a climber, the guide | crosses the glacier, fixes the rope
    on the summit, below the cliff | the tent, the icy ridge | steep, cold
desert | camel tag, well mark | a nomad, the trader | seeks the water, loads the camel
    in the desert, at the oasis | the sand dune, the caravan | dry, endless
theatre | scene code, mask label | an actor, the director | learns the lines, opens the curtain
    in the theatre, behind the scenes | the costume, the last act | funny, sad
laboratory | sample code, flask label | a chemist, the researcher | mixes the acid, measures the crystal
    in the laboratory, at the microscope | the test tube, the strange powder | pure, toxic
castle | gate word, banner mark | a knight, the queen | guards the tower, lights the torch
    in the castle, at the drawbridge | the sword, the royal crown | brave, proud
weather | storm name, cloud code | a forecaster, the meteorologist | measures the rain, warns of thunder
    at the weather station, in the storm | the rainbow, the cold wind | grey, violent
bank | account code, vault word | a banker, the cashier | signs the loan, opens the safe
    at the bank, behind the counter | the gold coin, the interest rate | rich, safe
ocean | reef code, whale tag | a diver, the marine biologist | films the sharks, studies the coral
    under the sea, on the reef | the blue whale, the giant squid | deep, salty
workshop | tool code, part number | a carpenter, the mechanic | sharpens the saw, repairs the motor
    in the workshop, at the bench | the hammer, the rusty screw | solid, bent
"""

TOPICS: tuple[Topic, ...] = tuple(_topic(entry) for entry in _TABLE.strip().replace("\n    ", " | ").splitlines())

_SCENES = (
    "{Person} {deed} {place}.",
    "{Place}, {person} {deed}.",
    "{Person} stands {place} with {thing}.",
    "{Place}, {thing} is {trait}.",
)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def fill(frame: str, topic: Topic, stream: random.Random, **given: str) -> str:
    """A frame with the topic's words in it; ``{Person}`` is ``{person}`` with a capital, ``given`` overrides."""
    words = {
        "topic": topic.name,
        "label": stream.choice(topic.labels),
        "person": stream.choice(topic.people),
        "deed": stream.choice(topic.deeds),
        "place": stream.choice(topic.places),
        "thing": stream.choice(topic.things),
        "trait": stream.choice(topic.traits),
        **given,
    }
    return frame.format(**words, **{_capital(key): _capital(word) for key, word in words.items()})


def scene(topic: Topic, stream: random.Random) -> str:
    """One sentence that sets the scene."""
    return fill(stream.choice(_SCENES), topic, stream)
