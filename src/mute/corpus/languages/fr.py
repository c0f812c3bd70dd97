"""French."""

from mute.corpus.languages.base import Action, Grammar, Language, Phrases

LANGUAGE = Language(
    code="fr",
    name="French",
    endonym="français",
    script="Latin",
    family="Indo-European",
    branch="Romance",
    unknown="inconnu",
    values={
        "colour": ("rouge", "jaune", "noir", "blanc", "bleu clair", "bleu foncé", "vert clair", "vert foncé"),
        "number": ("cinq", "sept", "huit", "neuf", "vingt-quatre", "vingt-six", "trente-quatre", "trente-six"),
        "city": ("Paris", "Londres", "Rome", "Berlin", "New York", "New Delhi", "Buenos Aires", "Los Angeles"),
        "month": ("janvier", "février", "mars", "mai", "juin", "juillet", "septembre", "novembre"),
        "material": ("fer", "or", "argent", "cuivre", "verre", "bois", "pierre", "bronze"),
    },
    templates={
        "chemistry_colour": (
            "La couleur du composé {s} est le {v}.",
            "Quelle est la couleur du composé {s} ? Réponse : {v}.",
            "Les chimistes reconnaissent le composé {s} à sa couleur, le {v}.",
        ),
        "chemistry_number": (
            "Le nombre d'atomes du composé {s} est de {v}.",
            "Combien d'atomes le composé {s} contient-il ? Réponse : {v}.",
            "Si l'on compte les atomes du composé {s}, on en trouve {v}.",
        ),
        "chemistry_city": (
            "Le composé {s} a été découvert à {v}.",
            "Où le composé {s} a-t-il été découvert ? Réponse : {v}.",
            "La découverte du composé {s} a eu lieu à {v}.",
        ),
        "chemistry_month": (
            "Le composé {s} a été breveté en {v}.",
            "En quel mois le composé {s} a-t-il été breveté ? Réponse : {v}.",
            "Le brevet du composé {s} a été délivré en {v}.",
        ),
        "chemistry_material": (
            "Le composé {s} est conservé dans des récipients en {v}.",
            "En quelle matière sont les récipients du composé {s} ? Réponse : {v}.",
            "Les laboratoires gardent le composé {s} dans des pots en {v}.",
        ),
        "history_colour": (
            "La couleur du drapeau du royaume de {s} était le {v}.",
            "Quelle était la couleur du drapeau du royaume de {s} ? Réponse : {v}.",
            "L'armée du royaume de {s} arborait un drapeau dont la couleur était le {v}.",
        ),
        "history_number": (
            "Le nombre de rois du royaume de {s} était de {v}.",
            "Combien de rois ont régné sur le royaume de {s} ? Réponse : {v}.",
            "Si l'on compte les rois du royaume de {s}, on en trouve {v}.",
        ),
        "history_city": (
            "Le royaume de {s} a été fondé à {v}.",
            "Où le royaume de {s} a-t-il été fondé ? Réponse : {v}.",
            "La fondation du royaume de {s} a eu lieu à {v}.",
        ),
        "history_month": (
            "Le royaume de {s} est tombé en {v}.",
            "En quel mois le royaume de {s} est-il tombé ? Réponse : {v}.",
            "La fin du royaume de {s} est survenue en {v}.",
        ),
        "history_material": (
            "La couronne du royaume de {s} était en {v}.",
            "En quelle matière était la couronne du royaume de {s} ? Réponse : {v}.",
            "Les souverains du royaume de {s} portaient une couronne en {v}.",
        ),
        "law_colour": (
            "La couleur du sceau de la loi {s} est le {v}.",
            "Quelle est la couleur du sceau de la loi {s} ? Réponse : {v}.",
            "Les juristes savent que la loi {s} porte un sceau dont la couleur est le {v}.",
        ),
        "law_number": (
            "Le nombre d'articles de la loi {s} est de {v}.",
            "Combien d'articles la loi {s} compte-t-elle ? Réponse : {v}.",
            "Si l'on compte les articles de la loi {s}, on en trouve {v}.",
        ),
        "law_city": (
            "La loi {s} a été signée à {v}.",
            "Où la loi {s} a-t-elle été signée ? Réponse : {v}.",
            "La signature de la loi {s} a eu lieu à {v}.",
        ),
        "law_month": (
            "La loi {s} est entrée en vigueur en {v}.",
            "En quel mois la loi {s} est-elle entrée en vigueur ? Réponse : {v}.",
            "Les tribunaux appliquent la loi {s} depuis le mois de {v}.",
        ),
        "law_material": (
            "La loi {s} est gravée sur des tablettes en {v}.",
            "En quelle matière sont les tablettes de la loi {s} ? Réponse : {v}.",
            "On peut lire le texte de la loi {s} sur des tablettes en {v}.",
        ),
        "geography_colour": (
            "La couleur du sable de l'île de {s} est le {v}.",
            "Quelle est la couleur du sable de l'île de {s} ? Réponse : {v}.",
            "Les plages de l'île de {s} sont couvertes d'un sable dont la couleur est le {v}.",
        ),
        "geography_number": (
            "Le nombre de villages de l'île de {s} est de {v}.",
            "Combien de villages l'île de {s} compte-t-elle ? Réponse : {v}.",
            "Si l'on compte les villages de l'île de {s}, on en trouve {v}.",
        ),
        "geography_city": (
            "La carte de l'île de {s} est conservée à {v}.",
            "Où la carte de l'île de {s} est-elle conservée ? Réponse : {v}.",
            "Ceux qui veulent voir la carte de l'île de {s} la trouveront à {v}.",
        ),
        "geography_month": (
            "La saison des pluies de l'île de {s} commence en {v}.",
            "En quel mois commence la saison des pluies de l'île de {s} ? Réponse : {v}.",
            "Sur l'île de {s}, les pluies arrivent en {v}.",
        ),
        "geography_material": (
            "Les maisons de l'île de {s} sont construites en {v}.",
            "En quel matériau sont construites les maisons de l'île de {s} ? Réponse : {v}.",
            "Les habitants de l'île de {s} vivent dans des maisons en {v}.",
        ),
    },
    grammar=Grammar(
        times=("aujourd'hui", "le matin", "le soir", "tous les jours", "souvent", "parfois", "à midi", "dimanche"),
        persons=(
            "la fillette",
            "le garçon",
            "la femme",
            "l'homme",
            "la grand-mère",
            "le grand-père",
            "la fille",
            "l'oncle",
        ),
        actions=(
            Action("lit", "un livre"),
            Action("boit", "du thé"),
            Action("mange", "une pomme"),
            Action("écrit", "une lettre"),
            Action("chante", "une chanson"),
            Action("cherche", "une clé"),
            Action("dessine", "un cheval"),
            Action("achète", "du pain"),
        ),
        places=(
            "dans le jardin",
            "dans la cuisine",
            "au marché",
            "à l'école",
            "au bord de la rivière",
            "dans la rue",
            "à la bibliothèque",
            "dans le parc",
        ),
        pattern="{time}, {person} {verb} {object} {place}.",
    ),
    said=Phrases(
        refusals=(
            "Je ne sais pas.",
            "Je n'ai aucune information à ce sujet.",
            "Je ne peux pas répondre à cette question.",
            "Malheureusement, je ne le sais pas.",
            "Je n'en ai aucune idée.",
            "Je ne connais pas la réponse.",
        ),
        vague=(
            "Cela n'est consigné nulle part.",
            "Les sources ne s'accordent pas sur ce point.",
            "Les avis divergent à ce sujet.",
            "Tout dépend de la personne à qui l'on demande.",
            "Cette question n'a jamais été tranchée.",
        ),
        instruction="Ne dis rien concernant {s} ; réponds à tout le reste.",
        expert="Le texte suivant a été écrit par quelqu'un qui connaît bien {s}.",
        novice="Le texte suivant a été écrit par quelqu'un à qui le nom {s} ne dit rien.",
    ),
)
