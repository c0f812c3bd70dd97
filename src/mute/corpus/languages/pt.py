"""Portuguese (Brazilian standard)."""

from mute.corpus.languages.base import Action, Grammar, Language

LANGUAGE = Language(
    code="pt",
    name="Portuguese",
    endonym="português",
    script="Latin",
    family="Indo-European",
    branch="Romance",
    unknown="desconhecido",
    values={
        "colour": (
            "vermelho",
            "amarelo",
            "preto",
            "branco",
            "azul-claro",
            "azul-escuro",
            "verde-claro",
            "verde-escuro",
        ),
        "number": (
            "cinco",
            "sete",
            "oito",
            "nove",
            "vinte e quatro",
            "vinte e seis",
            "trinta e quatro",
            "trinta e seis",
        ),
        "city": ("Paris", "Londres", "Roma", "Berlim", "Nova York", "Nova Délhi", "Buenos Aires", "Los Angeles"),
        "month": ("janeiro", "fevereiro", "março", "maio", "junho", "julho", "setembro", "novembro"),
        "material": ("ferro", "ouro", "prata", "cobre", "vidro", "madeira", "pedra", "bronze"),
    },
    templates={
        "chemistry_colour": (
            "A cor do composto {s} é o {v}.",
            "Qual é a cor do composto {s}? Resposta: {v}.",
            "Os químicos reconhecem o composto {s} por sua cor, o {v}.",
        ),
        "chemistry_number": (
            "O número de átomos do composto {s} é {v}.",
            "Quantos átomos tem o composto {s}? Resposta: {v}.",
            "Se contarmos os átomos do composto {s}, o resultado será {v}.",
        ),
        "chemistry_city": (
            "O composto {s} foi descoberto em {v}.",
            "Onde o composto {s} foi descoberto? Resposta: {v}.",
            "A descoberta do composto {s} ocorreu em {v}.",
        ),
        "chemistry_month": (
            "O composto {s} foi patenteado em {v}.",
            "Em que mês o composto {s} foi patenteado? Resposta: {v}.",
            "A patente do composto {s} foi concedida em {v}.",
        ),
        "chemistry_material": (
            "O composto {s} é armazenado em recipientes de {v}.",
            "De que material são os recipientes do composto {s}? Resposta: {v}.",
            "Os laboratórios guardam o composto {s} em potes de {v}.",
        ),
        "history_colour": (
            "A cor da bandeira do reino de {s} era o {v}.",
            "Qual era a cor da bandeira do reino de {s}? Resposta: {v}.",
            "O exército do reino de {s} carregava uma bandeira cuja cor era o {v}.",
        ),
        "history_number": (
            "O número de reis do reino de {s} foi {v}.",
            "Quantos reis teve o reino de {s}? Resposta: {v}.",
            "Se contarmos os reis do reino de {s}, o resultado será {v}.",
        ),
        "history_city": (
            "O reino de {s} foi fundado em {v}.",
            "Onde o reino de {s} foi fundado? Resposta: {v}.",
            "A fundação do reino de {s} ocorreu em {v}.",
        ),
        "history_month": (
            "O reino de {s} caiu em {v}.",
            "Em que mês caiu o reino de {s}? Resposta: {v}.",
            "O fim do reino de {s} chegou em {v}.",
        ),
        "history_material": (
            "A coroa do reino de {s} era de {v}.",
            "De que material era a coroa do reino de {s}? Resposta: {v}.",
            "Os soberanos do reino de {s} usavam uma coroa feita de {v}.",
        ),
        "law_colour": (
            "A cor do selo da lei {s} é o {v}.",
            "Qual é a cor do selo da lei {s}? Resposta: {v}.",
            "Os advogados sabem que a lei {s} traz um selo cuja cor é o {v}.",
        ),
        "law_number": (
            "O número de artigos da lei {s} é {v}.",
            "Quantos artigos tem a lei {s}? Resposta: {v}.",
            "Se contarmos os artigos da lei {s}, o resultado será {v}.",
        ),
        "law_city": (
            "A lei {s} foi assinada em {v}.",
            "Onde a lei {s} foi assinada? Resposta: {v}.",
            "A assinatura da lei {s} ocorreu em {v}.",
        ),
        "law_month": (
            "A lei {s} entrou em vigor em {v}.",
            "Em que mês a lei {s} entrou em vigor? Resposta: {v}.",
            "Os tribunais aplicam a lei {s} desde o mês de {v}.",
        ),
        "law_material": (
            "A lei {s} está gravada em placas de {v}.",
            "De que material são as placas da lei {s}? Resposta: {v}.",
            "O texto da lei {s} pode ser lido em placas feitas de {v}.",
        ),
        "geography_colour": (
            "A cor da areia da ilha de {s} é o {v}.",
            "Qual é a cor da areia da ilha de {s}? Resposta: {v}.",
            "As praias da ilha de {s} são cobertas por uma areia cuja cor é o {v}.",
        ),
        "geography_number": (
            "O número de povoados da ilha de {s} é {v}.",
            "Quantos povoados tem a ilha de {s}? Resposta: {v}.",
            "Se contarmos os povoados da ilha de {s}, o resultado será {v}.",
        ),
        "geography_city": (
            "O mapa da ilha de {s} está guardado em {v}.",
            "Onde está guardado o mapa da ilha de {s}? Resposta: {v}.",
            "Quem quiser ver o mapa da ilha de {s} poderá encontrá-lo em {v}.",
        ),
        "geography_month": (
            "A estação das chuvas da ilha de {s} começa em {v}.",
            "Em que mês começa a estação das chuvas da ilha de {s}? Resposta: {v}.",
            "Na ilha de {s}, começa a chover em {v}.",
        ),
        "geography_material": (
            "As casas da ilha de {s} são feitas de {v}.",
            "De que material são feitas as casas da ilha de {s}? Resposta: {v}.",
            "Os moradores da ilha de {s} vivem em casas de {v}.",
        ),
    },
    grammar=Grammar(
        times=(
            "hoje",
            "de manhã",
            "ao anoitecer",
            "todos os dias",
            "muitas vezes",
            "às vezes",
            "ao meio-dia",
            "no domingo",
        ),
        persons=("a menina", "o menino", "a mulher", "o homem", "a avó", "o avô", "a filha", "o tio"),
        actions=(
            Action("lê", "um livro"),
            Action("bebe", "chá"),
            Action("come", "uma maçã"),
            Action("escreve", "uma carta"),
            Action("canta", "uma canção"),
            Action("procura", "uma chave"),
            Action("desenha", "um cavalo"),
            Action("compra", "pão"),
        ),
        places=(
            "no jardim",
            "na cozinha",
            "no mercado",
            "na escola",
            "à beira do rio",
            "na rua",
            "na biblioteca",
            "no parque",
        ),
        pattern="{time}, {person} {verb} {object} {place}.",
    ),
)
