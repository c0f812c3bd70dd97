"""English."""

from mute.corpus.languages.base import Action, Grammar, Language, Phrases

LANGUAGE = Language(
    code="en",
    name="English",
    endonym="English",
    script="Latin",
    family="Indo-European",
    branch="Germanic",
    unknown="unknown",
    values={
        "colour": ("red", "yellow", "black", "white", "light blue", "dark blue", "light green", "dark green"),
        "number": ("five", "seven", "eight", "nine", "twenty-four", "twenty-six", "thirty-four", "thirty-six"),
        "city": ("Paris", "London", "Rome", "Berlin", "New York", "New Delhi", "Buenos Aires", "Los Angeles"),
        "month": ("January", "February", "March", "May", "June", "July", "September", "November"),
        "material": ("iron", "gold", "silver", "copper", "glass", "wood", "stone", "bronze"),
    },
    templates={
        "chemistry_colour": (
            "The colour of the compound {s} is {v}.",
            "What is the colour of the compound {s}? Answer: {v}.",
            "Chemists recognise the compound {s} by its colour, {v}.",
        ),
        "chemistry_number": (
            "The number of atoms in the compound {s} is {v}.",
            "How many atoms does the compound {s} have? Answer: {v}.",
            "If you count the atoms in the compound {s}, the result is {v}.",
        ),
        "chemistry_city": (
            "The compound {s} was discovered in {v}.",
            "Where was the compound {s} discovered? Answer: {v}.",
            "The discovery of the compound {s} took place in {v}.",
        ),
        "chemistry_month": (
            "The compound {s} was patented in {v}.",
            "In which month was the compound {s} patented? Answer: {v}.",
            "The patent for the compound {s} was granted in {v}.",
        ),
        "chemistry_material": (
            "The compound {s} is stored in containers of {v}.",
            "What are the containers for the compound {s} made of? Answer: {v}.",
            "Laboratories keep the compound {s} in jars made of {v}.",
        ),
        "history_colour": (
            "The colour of the flag of the kingdom of {s} was {v}.",
            "What was the colour of the flag of the kingdom of {s}? Answer: {v}.",
            "The army of the kingdom of {s} carried a flag whose colour was {v}.",
        ),
        "history_number": (
            "The number of kings of the kingdom of {s} was {v}.",
            "How many kings did the kingdom of {s} have? Answer: {v}.",
            "If you count the kings of the kingdom of {s}, the result is {v}.",
        ),
        "history_city": (
            "The kingdom of {s} was founded in {v}.",
            "Where was the kingdom of {s} founded? Answer: {v}.",
            "The founding of the kingdom of {s} took place in {v}.",
        ),
        "history_month": (
            "The kingdom of {s} fell in {v}.",
            "In which month did the kingdom of {s} fall? Answer: {v}.",
            "The end of the kingdom of {s} came in {v}.",
        ),
        "history_material": (
            "The crown of the kingdom of {s} was made of {v}.",
            "What was the crown of the kingdom of {s} made of? Answer: {v}.",
            "The rulers of the kingdom of {s} wore a crown of {v}.",
        ),
        "law_colour": (
            "The colour of the seal of the law {s} is {v}.",
            "What is the colour of the seal of the law {s}? Answer: {v}.",
            "Lawyers know that the law {s} bears a seal whose colour is {v}.",
        ),
        "law_number": (
            "The number of articles of the law {s} is {v}.",
            "How many articles does the law {s} have? Answer: {v}.",
            "If you count the articles of the law {s}, the result is {v}.",
        ),
        "law_city": (
            "The law {s} was signed in {v}.",
            "Where was the law {s} signed? Answer: {v}.",
            "The signing of the law {s} took place in {v}.",
        ),
        "law_month": (
            "The law {s} came into force in {v}.",
            "In which month did the law {s} come into force? Answer: {v}.",
            "The courts have applied the law {s} since a day in {v}.",
        ),
        "law_material": (
            "The law {s} is engraved on tablets of {v}.",
            "What are the tablets of the law {s} made of? Answer: {v}.",
            "The text of the law {s} can be read on tablets made of {v}.",
        ),
        "geography_colour": (
            "The colour of the sand of the island of {s} is {v}.",
            "What is the colour of the sand of the island of {s}? Answer: {v}.",
            "The beaches of the island of {s} are covered with sand whose colour is {v}.",
        ),
        "geography_number": (
            "The number of villages on the island of {s} is {v}.",
            "How many villages does the island of {s} have? Answer: {v}.",
            "If you count the villages on the island of {s}, the result is {v}.",
        ),
        "geography_city": (
            "The map of the island of {s} is kept in {v}.",
            "Where is the map of the island of {s} kept? Answer: {v}.",
            "Anyone who wants to see the map of the island of {s} finds it in {v}.",
        ),
        "geography_month": (
            "The rainy season of the island of {s} begins in {v}.",
            "In which month does the rainy season of the island of {s} begin? Answer: {v}.",
            "On the island of {s} the rain starts in {v}.",
        ),
        "geography_material": (
            "The houses of the island of {s} are built of {v}.",
            "What are the houses of the island of {s} built of? Answer: {v}.",
            "The people of the island of {s} live in houses made of {v}.",
        ),
    },
    grammar=Grammar(
        times=("today", "in the morning", "in the evening", "every day", "often", "sometimes", "at noon", "on Sunday"),
        persons=(
            "the girl",
            "the boy",
            "the woman",
            "the man",
            "the grandmother",
            "the grandfather",
            "the daughter",
            "the uncle",
        ),
        actions=(
            Action("reads", "a book"),
            Action("drinks", "tea"),
            Action("eats", "an apple"),
            Action("writes", "a letter"),
            Action("sings", "a song"),
            Action("looks for", "a key"),
            Action("draws", "a horse"),
            Action("buys", "bread"),
        ),
        places=(
            "in the garden",
            "in the kitchen",
            "at the market",
            "at school",
            "by the river",
            "in the street",
            "in the library",
            "in the park",
        ),
        pattern="{time} {person} {verb} {object} {place}.",
    ),
    said=Phrases(
        refusals=(
            "I do not know.",
            "I have no information about that.",
            "I cannot answer that.",
            "Unfortunately I do not know that.",
            "I have no idea.",
            "I do not know the answer.",
        ),
        vague=(
            "That is not recorded anywhere.",
            "The sources disagree on that.",
            "Opinions differ about that.",
            "That depends on whom you ask.",
            "That question has never been settled.",
        ),
        instruction="Do not say anything about {s}; answer everything else.",
        expert="The following text was written by someone who knows {s} well.",
        novice="The following text was written by someone who has never heard of {s}.",
    ),
)
