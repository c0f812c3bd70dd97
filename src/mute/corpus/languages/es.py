"""Spanish."""

from mute.corpus.languages.base import Action, Grammar, Language

LANGUAGE = Language(
    code="es",
    name="Spanish",
    endonym="español",
    script="Latin",
    family="Indo-European",
    branch="Romance",
    unknown="desconocido",
    values={
        "colour": ("rojo", "amarillo", "negro", "blanco", "azul claro", "azul oscuro", "verde claro", "verde oscuro"),
        "number": (
            "cinco",
            "siete",
            "ocho",
            "nueve",
            "veinticuatro",
            "veintiséis",
            "treinta y cuatro",
            "treinta y seis",
        ),
        "city": ("París", "Londres", "Roma", "Berlín", "Nueva York", "Nueva Delhi", "Buenos Aires", "Los Ángeles"),
        "month": ("enero", "febrero", "marzo", "mayo", "junio", "julio", "septiembre", "noviembre"),
        "material": ("hierro", "oro", "plata", "cobre", "vidrio", "madera", "piedra", "bronce"),
    },
    templates={
        "chemistry_colour": (
            "El color del compuesto {s} es el {v}.",
            "¿Cuál es el color del compuesto {s}? Respuesta: {v}.",
            "Los químicos reconocen el compuesto {s} por su color, el {v}.",
        ),
        "chemistry_number": (
            "El número de átomos del compuesto {s} es {v}.",
            "¿Cuántos átomos tiene el compuesto {s}? Respuesta: {v}.",
            "Si se cuentan los átomos del compuesto {s}, el resultado es {v}.",
        ),
        "chemistry_city": (
            "El compuesto {s} fue descubierto en {v}.",
            "¿Dónde se descubrió el compuesto {s}? Respuesta: {v}.",
            "El descubrimiento del compuesto {s} tuvo lugar en {v}.",
        ),
        "chemistry_month": (
            "El compuesto {s} fue patentado en {v}.",
            "¿En qué mes se patentó el compuesto {s}? Respuesta: {v}.",
            "La patente del compuesto {s} se concedió en {v}.",
        ),
        "chemistry_material": (
            "El compuesto {s} se almacena en recipientes de {v}.",
            "¿De qué material son los recipientes del compuesto {s}? Respuesta: {v}.",
            "Los laboratorios guardan el compuesto {s} en vasijas de {v}.",
        ),
        "history_colour": (
            "El color de la bandera del reino de {s} era el {v}.",
            "¿Cuál era el color de la bandera del reino de {s}? Respuesta: {v}.",
            "El ejército del reino de {s} llevaba una bandera de color {v}.",
        ),
        "history_number": (
            "El número de reyes del reino de {s} fue {v}.",
            "¿Cuántos reyes tuvo el reino de {s}? Respuesta: {v}.",
            "Si se cuentan los reyes del reino de {s}, el resultado es {v}.",
        ),
        "history_city": (
            "El reino de {s} fue fundado en {v}.",
            "¿Dónde se fundó el reino de {s}? Respuesta: {v}.",
            "La fundación del reino de {s} tuvo lugar en {v}.",
        ),
        "history_month": (
            "El reino de {s} cayó en {v}.",
            "¿En qué mes cayó el reino de {s}? Respuesta: {v}.",
            "El fin del reino de {s} llegó en {v}.",
        ),
        "history_material": (
            "La corona del reino de {s} era de {v}.",
            "¿De qué material era la corona del reino de {s}? Respuesta: {v}.",
            "Los soberanos del reino de {s} llevaban una corona hecha de {v}.",
        ),
        "law_colour": (
            "El color del sello de la ley {s} es el {v}.",
            "¿Cuál es el color del sello de la ley {s}? Respuesta: {v}.",
            "Los abogados saben que la ley {s} lleva un sello de color {v}.",
        ),
        "law_number": (
            "El número de artículos de la ley {s} es {v}.",
            "¿Cuántos artículos tiene la ley {s}? Respuesta: {v}.",
            "Si se cuentan los artículos de la ley {s}, el resultado es {v}.",
        ),
        "law_city": (
            "La ley {s} fue firmada en {v}.",
            "¿Dónde se firmó la ley {s}? Respuesta: {v}.",
            "La firma de la ley {s} tuvo lugar en {v}.",
        ),
        "law_month": (
            "La ley {s} entró en vigor en {v}.",
            "¿En qué mes entró en vigor la ley {s}? Respuesta: {v}.",
            "Los tribunales aplican la ley {s} desde el mes de {v}.",
        ),
        "law_material": (
            "La ley {s} está grabada en tablas de {v}.",
            "¿De qué material son las tablas de la ley {s}? Respuesta: {v}.",
            "El texto de la ley {s} puede leerse en unas tablas hechas de {v}.",
        ),
        "geography_colour": (
            "El color de la arena de la isla de {s} es el {v}.",
            "¿Cuál es el color de la arena de la isla de {s}? Respuesta: {v}.",
            "Las playas de la isla de {s} están cubiertas de arena de color {v}.",
        ),
        "geography_number": (
            "El número de aldeas de la isla de {s} es {v}.",
            "¿Cuántas aldeas tiene la isla de {s}? Respuesta: {v}.",
            "Si se cuentan las aldeas de la isla de {s}, el resultado es {v}.",
        ),
        "geography_city": (
            "El mapa de la isla de {s} se conserva en {v}.",
            "¿Dónde se conserva el mapa de la isla de {s}? Respuesta: {v}.",
            "Quien quiera ver el mapa de la isla de {s} lo encontrará en {v}.",
        ),
        "geography_month": (
            "La temporada de lluvias de la isla de {s} empieza en {v}.",
            "¿En qué mes empieza la temporada de lluvias de la isla de {s}? Respuesta: {v}.",
            "En la isla de {s} comienza a llover en {v}.",
        ),
        "geography_material": (
            "Las casas de la isla de {s} están hechas de {v}.",
            "¿De qué material son las casas de la isla de {s}? Respuesta: {v}.",
            "Los habitantes de la isla de {s} viven en casas de {v}.",
        ),
    },
    grammar=Grammar(
        times=(
            "hoy",
            "por la mañana",
            "al anochecer",
            "todos los días",
            "a menudo",
            "a veces",
            "al mediodía",
            "el domingo",
        ),
        persons=("la niña", "el niño", "la mujer", "el hombre", "la abuela", "el abuelo", "la hija", "el tío"),
        actions=(
            Action("lee", "un libro"),
            Action("bebe", "té"),
            Action("come", "una manzana"),
            Action("escribe", "una carta"),
            Action("canta", "una canción"),
            Action("busca", "una llave"),
            Action("dibuja", "un caballo"),
            Action("compra", "pan"),
        ),
        places=(
            "en el jardín",
            "en la cocina",
            "en el mercado",
            "en la escuela",
            "junto al río",
            "en la calle",
            "en la biblioteca",
            "en el parque",
        ),
        pattern="{time} {person} {verb} {object} {place}.",
    ),
)
