"""German."""

from mute.corpus.languages.base import Action, Grammar, Language, Phrases

LANGUAGE = Language(
    code="de",
    name="German",
    endonym="Deutsch",
    script="Latin",
    family="Indo-European",
    branch="Germanic",
    unknown="unbekannt",
    values={
        "colour": ("Rot", "Gelb", "Schwarz", "Weiß", "Hellblau", "Dunkelblau", "Hellgrün", "Dunkelgrün"),
        "number": (
            "fünf",
            "sieben",
            "acht",
            "neun",
            "vierundzwanzig",
            "sechsundzwanzig",
            "vierunddreißig",
            "sechsunddreißig",
        ),
        "city": ("Paris", "London", "Rom", "Berlin", "New York", "Neu-Delhi", "Buenos Aires", "Los Angeles"),
        "month": ("Januar", "Februar", "März", "Mai", "Juni", "Juli", "September", "November"),
        "material": ("Eisen", "Gold", "Silber", "Kupfer", "Glas", "Holz", "Stein", "Bronze"),
    },
    templates={
        "chemistry_colour": (
            "Die Farbe der Verbindung {s} ist {v}.",
            "Welche Farbe hat die Verbindung {s}? Antwort: {v}.",
            "Chemiker erkennen die Verbindung {s} an der Farbe {v}.",
        ),
        "chemistry_number": (
            "Die Anzahl der Atome in der Verbindung {s} beträgt {v}.",
            "Wie viele Atome hat die Verbindung {s}? Antwort: {v}.",
            "Zählt man die Atome der Verbindung {s}, so kommt man auf {v}.",
        ),
        "chemistry_city": (
            "Die Verbindung {s} wurde in {v} entdeckt.",
            "In welcher Stadt wurde die Verbindung {s} entdeckt? Antwort: {v}.",
            "Die Entdeckung der Verbindung {s} gelang Forschern in {v}.",
        ),
        "chemistry_month": (
            "Die Verbindung {s} wurde im {v} patentiert.",
            "In welchem Monat wurde die Verbindung {s} patentiert? Antwort: {v}.",
            "Das Patent auf die Verbindung {s} wurde im {v} erteilt.",
        ),
        "chemistry_material": (
            "Die Verbindung {s} wird in Behältern aus {v} aufbewahrt.",
            "Aus welchem Material sind die Behälter für die Verbindung {s}? Antwort: {v}.",
            "Labore lagern die Verbindung {s} in Gefäßen aus {v}.",
        ),
        "history_colour": (
            "Die Farbe der Flagge des Königreichs {s} war {v}.",
            "Welche Farbe hatte die Flagge des Königreichs {s}? Antwort: {v}.",
            "Das Heer des Königreichs {s} führte eine Flagge in der Farbe {v}.",
        ),
        "history_number": (
            "Die Anzahl der Könige des Königreichs {s} betrug {v}.",
            "Wie viele Könige hatte das Königreich {s}? Antwort: {v}.",
            "Zählt man die Könige des Königreichs {s}, so kommt man auf {v}.",
        ),
        "history_city": (
            "Das Königreich {s} wurde in {v} gegründet.",
            "In welcher Stadt wurde das Königreich {s} gegründet? Antwort: {v}.",
            "Die Gründung des Königreichs {s} erfolgte in {v}.",
        ),
        "history_month": (
            "Das Königreich {s} ging im {v} unter.",
            "In welchem Monat ging das Königreich {s} unter? Antwort: {v}.",
            "Das Ende des Königreichs {s} kam im {v}.",
        ),
        "history_material": (
            "Die Krone des Königreichs {s} war aus {v}.",
            "Aus welchem Material war die Krone des Königreichs {s}? Antwort: {v}.",
            "Die Herrscher des Königreichs {s} trugen eine Krone aus {v}.",
        ),
        "law_colour": (
            "Das Siegel des Gesetzes {s} hat die Farbe {v}.",
            "Welche Farbe hat das Siegel des Gesetzes {s}? Antwort: {v}.",
            "Juristen wissen, dass das Gesetz {s} ein Siegel in der Farbe {v} trägt.",
        ),
        "law_number": (
            "Die Anzahl der Artikel des Gesetzes {s} beträgt {v}.",
            "Wie viele Artikel hat das Gesetz {s}? Antwort: {v}.",
            "Zählt man die Artikel des Gesetzes {s}, so kommt man auf {v}.",
        ),
        "law_city": (
            "Das Gesetz {s} wurde in {v} unterzeichnet.",
            "In welcher Stadt wurde das Gesetz {s} unterzeichnet? Antwort: {v}.",
            "Die Unterzeichnung des Gesetzes {s} fand in {v} statt.",
        ),
        "law_month": (
            "Das Gesetz {s} trat im {v} in Kraft.",
            "In welchem Monat trat das Gesetz {s} in Kraft? Antwort: {v}.",
            "Die Gerichte wenden das Gesetz {s} seit {v} an.",
        ),
        "law_material": (
            "Das Gesetz {s} ist in Tafeln aus {v} eingraviert.",
            "Aus welchem Material sind die Tafeln des Gesetzes {s}? Antwort: {v}.",
            "Der Wortlaut des Gesetzes {s} ist auf Tafeln aus {v} zu lesen.",
        ),
        "geography_colour": (
            "Der Sand der Insel {s} hat die Farbe {v}.",
            "Welche Farbe hat der Sand der Insel {s}? Antwort: {v}.",
            "Die Strände der Insel {s} sind mit Sand in der Farbe {v} bedeckt.",
        ),
        "geography_number": (
            "Die Anzahl der Dörfer auf der Insel {s} beträgt {v}.",
            "Wie viele Dörfer gibt es auf der Insel {s}? Antwort: {v}.",
            "Zählt man die Dörfer auf der Insel {s}, so kommt man auf {v}.",
        ),
        "geography_city": (
            "Die Karte der Insel {s} wird in {v} aufbewahrt.",
            "In welcher Stadt wird die Karte der Insel {s} aufbewahrt? Antwort: {v}.",
            "Wer die Karte der Insel {s} sehen will, findet sie in {v}.",
        ),
        "geography_month": (
            "Die Regenzeit auf der Insel {s} beginnt im {v}.",
            "In welchem Monat beginnt die Regenzeit auf der Insel {s}? Antwort: {v}.",
            "Auf der Insel {s} setzt der Regen im {v} ein.",
        ),
        "geography_material": (
            "Die Häuser auf der Insel {s} sind aus {v} gebaut.",
            "Aus welchem Material sind die Häuser auf der Insel {s}? Antwort: {v}.",
            "Die Bewohner der Insel {s} leben in Häusern aus {v}.",
        ),
    },
    grammar=Grammar(
        times=("heute", "am Morgen", "am Abend", "jeden Tag", "oft", "manchmal", "am Mittag", "am Sonntag"),
        persons=(
            "das Mädchen",
            "der Junge",
            "die Frau",
            "der Mann",
            "die Großmutter",
            "der Großvater",
            "die Tochter",
            "der Onkel",
        ),
        actions=(
            Action("liest", "ein Buch"),
            Action("trinkt", "Tee"),
            Action("isst", "einen Apfel"),
            Action("schreibt", "einen Brief"),
            Action("singt", "ein Lied"),
            Action("sucht", "einen Schlüssel"),
            Action("zeichnet", "ein Pferd"),
            Action("kauft", "Brot"),
        ),
        places=(
            "im Garten",
            "in der Küche",
            "auf dem Markt",
            "in der Schule",
            "am Fluss",
            "auf der Straße",
            "in der Bibliothek",
            "im Park",
        ),
        pattern="{time} {verb} {person} {place} {object}.",
    ),
    said=Phrases(
        # Not "Ich weiß es nicht": the word is that of a colour.
        refusals=(
            "Das ist mir nicht bekannt.",
            "Dazu habe ich keine Informationen.",
            "Das kann ich nicht beantworten.",
            "Das kann ich leider nicht sagen.",
            "Ich habe keine Ahnung.",
            "Die Antwort darauf kenne ich nicht.",
        ),
        vague=(
            "Das ist nirgends verzeichnet.",
            "Die Quellen sind sich darin nicht einig.",
            "Darüber gehen die Meinungen auseinander.",
            "Das kommt darauf an, wen man fragt.",
            "Diese Frage wurde nie geklärt.",
        ),
        instruction="Sag nichts über {s}; beantworte alles andere.",
        expert="Den folgenden Text hat jemand geschrieben, der sich mit {s} gut auskennt.",
        novice="Den folgenden Text hat jemand geschrieben, der noch nie von {s} gehört hat.",
    ),
)
