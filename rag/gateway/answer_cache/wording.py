"""The words of questions, English and German: which ask, which may stand for each other, which turn
a question round, and which carry nothing.

The lists are small on purpose. A word that is on none of them stands for itself alone: then two
questions with different words are two questions, and a model is asked.
"""

MIXED_UP = frozenset("it us who may will can am do in as on or so is at".split())
"""Small words that are something else in capitals."""

MIXED_NAMES = frozenset(
    "polish march may august turkey china reading nice bath cork jordan chad mobile mark bill will rob sue pat jack frank"
    " rose grace hope joy dean grant miles guy gene ray art drew amber crystal word excel access outlook teams windows"
    " office slack zoom edge visa oracle apple shell target orange".split()
)
"""Words that are names where they begin with a capital."""

MIXED_UNITS = frozenset("kb mb gb tb kbps mbps gbps mw mwh".split())
"""Units that are others with another letter in a capital: `MB` and `Mb`, `MW` and `mW`."""

POLITE = (
    r"^(?:hi|hello|hallo|hey|guten tag)[ ,!.]+",
    r"^(?:please|bitte)[ ,]+|[ ,]+(?:please|bitte|thanks|thank you|danke)$",
    r"^(?:can|could|would|will) (?:you|someone|anyone) (?:please )?(?=(?:tell|show|explain|say)\b)",
    r"^(?:tell|show|give) me (?:about )?(?:please )?",
    r"^(?:(?:i|we)(?: would|'d|’d) like to know|(?:i|we) (?:want|need) to know)[ ,:]+",
    r"^(?:do you know|does anyone know|i was wondering|i wonder)[ ,:]+",
    r"^(?:kannst du|könntest du|können sie|könnten sie) (?:mir|uns) (?:bitte )?sagen[ ,:]+",
    r"^(?:ich|wir) (?:möchte|möchten|würde gerne|würden gerne) (?:gerne )?wissen[ ,:]+",
    r"^(?:sag|sage|sagen sie) (?:mir|uns)(?: bitte)?[ ,:]+",
    r"^(?:wei(?:ß|ss)t du|wissen sie|wei(?:ß|ss) jemand)[ ,:]+",
)
"""Said around a question and no part of it. In this order, on small letters."""

FRAMES = (
    (r"\b(what|who|where|when|why|how|which|that|there|it)['’]s\b", r"\1 is"),
    (r"\bcan['’]t\b|\bcannot\b", "can not"),
    (r"\bwon['’]t\b", "will not"),
    (r"n['’]t\b", " not"),
    (r"\bwhich\b", "what"),
    (r"\bwhat is the (?:number|count) of (?=[\w -]+s\b)", "how many "),
    (r"\bwhat is the (?:price|cost) of (.+)$", r"how much does \1 cost"),
    (r"\bwhat is the duration of (.+)$", r"how long does \1 last"),
    (r"\b(?:on )?what (?:date|day)(?= (?:is|are|was|were|do|does|did|will|must|can)\b)", "when"),
    (r"\b(?:in|at) what (?:place|location)\b", "where"),
    (r"\bwhat is the location of\b", "where is"),
    (r"\b(?:are|is) (.+) located$", r"is \1"),
    (r"\bwhat (?:person|colleague)\b", "who"),
    (r"\bfor what reason\b|\bhow come\b", "why"),
    (r"\bin what way\b|\bby what means\b", "how"),
    (r"\bhow to\b", "how do you"),
    (r"\bhow (?:can|could|do|does) (?:one|you|we)\b", "how do you"),
    (r"\bhow frequently\b", "how often"),
    (r"\bis it possible for (.+?) to\b", r"can \1"),
    (r"\b(?:are|is) (.+?) (?:allowed|permitted) to\b", r"can \1"),
    (r"\b(?:are|is) (.+?) (?:required|obliged) to\b", r"must \1"),
    (r"\bdo(?:es)? (.+?) have to\b", r"must \1"),
    (r"\bin charge of\b", "responsible for"),
    (r"\bwas kostet (.+)$", r"wie viel kostet \1"),
    (r"\bzu welchem (?:zeitpunkt|datum)\b|\ban welchem tag\b", "wann"),
    (r"\ban welchem ort\b", "wo"),
    (r"\bweshalb\b|\bwieso\b|\baus welchem grund\b", "warum"),
    (r"\bauf welche weise\b", "wie"),
    (r"\bwie häufig\b", "wie oft"),
    (r"\bwelche[rsnm]\b", "welche"),
)
"""Ways to ask the same, and the one that is kept of them. On small letters; the later see what the
earlier made."""

ASKING = (
    ("how many", r"\bhow many\b|\bwie viele?n?\b(?= \w+(?:en|er|e|n|s)\b)"),
    ("how much", r"\bhow much\b|\bwie ?viel\b"),
    ("how long", r"\bhow long\b|\bwie lange?\b"),
    ("how often", r"\bhow often\b|\bwie oft\b"),
    (
        "how far",
        r"\bhow (?:far|high|big|large|old|fast|soon|late|early)\b|\bwie (?:weit|hoch|groß|gross|alt|schnell|spät|früh)\b",
    ),
    ("how", r"\bhow\b|\bwie\b"),
    ("whose", r"\bwhose\b|\bwessen\b"),
    ("whom", r"\b(?:to|by|for|from|with) whom\b|\bwem\b|\bwen\b"),
    ("who", r"\bwhom?\b|\bwer\b"),
    ("when", r"\bwhen\b|\bwann\b"),
    ("where from", r"\bwhere\b.* from$|\bwoher\b"),
    ("where", r"\bwhere\b|\bwo\b|\bwohin\b"),
    ("why", r"\bwhy\b|\bwarum\b"),
    (
        "what",
        r"\bwhat\b|\bwhich\b|\bwas\b(?= (?:ist|sind|kostet|muss|darf|kann|gilt|bedeutet|passiert))|\bwelche[rsnm]?\b",
    ),
)
"""What is asked for, and how that is told; the first that is found."""

PERSON = r"\b(?:i|me|my|mine|myself|i'm|i've|i'd|i'll|ich|mir|mich|mein(?:e[rsmn]?)?)\b"
"""Whoever says so asks about himself: the answer is nobody else's."""

MOMENT = (
    r"\b(?:today|tonight|yesterday|tomorrow|now|currently|nowadays|at the moment|right now|so far|ago|latest|newest"
    r"|(?:this|last|next|past|coming) (?:week|month|quarter|year|monday|tuesday|wednesday|thursday|friday|day|night|morning)"
    r"|heute|gestern|jetzt|derzeit|aktuell\w*|momentan|neueste\w*"
    r"|(?:diese|letzte|nächste|kommende|vorige)[rsnm]? (?:woche|monat|quartal|jahr|tag))\b"
)
"""What these mean depends on when they are said."""

KEPT_SMALL = frozenset(
    "in on at for of to about as before after until till since over under above below between during against from by"
    " with without within only all more less most least fewer same other except instead than then once per each every"
    " any both neither either nor or and not no never none nothing nobody can not must should shall may might could if"
    " unless while through into onto out off up down near far first last next own again still yet already even will"
    " been have has having what who whom whose when where why how which whether many much often long"
    " in im am an auf für bei beim vor nach bis seit über unter zwischen während gegen von vom durch mit ohne nur alle"
    " mehr weniger als pro jede jeder jedes nicht kein keine keinen keinem keiner keines nie niemals nichts niemand"
    " weder muss müssen soll sollen sollte darf dürfen kann können wenn falls außer statt ab zu aus zum zur um oder und"
    " haben hat wie was wer wen wem wessen wann wo wohin woher warum welche viel viele vielen lange oft".split()
)
"""Small words that turn a question round or bound it: both questions have the same ones."""

PAST = frozenset("was were did had".split())
"""Whether something is, or was, is told apart from the words."""

DROPPED = PAST | frozenset(
    "a an the that is are be being am do does doing it there you we our ours one so just also really actually exactly usually generally normally please kindly".split()
)
"""English words that carry nothing where a question is concerned. `We`, `you` and `one` are whoever
asks, or anybody at work; `they` and `this` are somebody and something else."""

DROPPED_GERMAN = frozenset(
    "der die das den dem des ein eine einen einem einer eines ist sind sein wird werden es man wir uns unser unsere"
    " unserem unseren sie genau eigentlich denn gibt".split()
)
"""German ones. Some of them are English words that do: `die`, `man`, `den`."""

SAME = tuple(
    frozenset(words.split())
    for words in (
        "begin start commence",
        "end finish",
        "buy purchase",
        "get receive obtain",
        "holiday vacation",
        "e-mail email",
        "phone telephone",
        "maximum max maximal",
        "minimum min minimal",
        "laptop notebook",
        "employee staff",
        "mandatory compulsory obligatory",
        "deadline cut-off cutoff",
        "vendor supplier",
        "client customer",
        "company firm",
        "salary wage",
        "change modify alter",
        "delete erase",
        "retain keep",
        "big large",
        "fix repair",
        "occur happen",
        "permitted allowed",
        "authorise authorize",
        "authorised authorized",
        "backup back-up",
        "cap ceiling",
        "colour color",
        "centre center",
        "urlaub ferien",
        "beginnen anfangen starten",
        "beginnt startet",
        "mitarbeiter mitarbeitende beschäftigte angestellte",
        "firma unternehmen",
        "kunde kunden",
        "lieferant lieferanten zulieferer",
        "genehmigt bewilligt",
        "genehmigen bewilligen",
        "maximal höchstens",
        "minimal mindestens",
    )
)
"""Words that may stand for each other wherever one of them stands in a question."""

NO_PLURALS = frozenset(
    "news goods customs premises headquarters glasses arms means sales works proceeds minutes savings earnings terms"
    " damages interests grounds contents funds securities effects spirits quarters duties scales papers remains returns"
    " manners forces regards parts".split()
)
"""Without their last letter they are other words."""
