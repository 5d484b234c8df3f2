"""Near misses of classes that the answer cache's gate was not written on, for `make_near_miss_pairs.py`.

They were written before anything was measured on them, and without a look at the lists of words
that the gate goes by (docs/caching.md tells what the first measurement said). What asked the same on
second thought, or was no English, is not there any more.
"""

SECOND_ROUND: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "tense": (
        ("Who {} the head of purchasing?", ("is | was", "is | will be", "was | will be")),
        ("What {} the canteen cost?", ("does | did", "will | did", "would | does")),
        ("Which suppliers {} approved?", ("are | were", "have been | will be", "are being | were")),
        ("How many people {} at the Leeds plant?", ("work | worked", "are working | have worked")),
        ("Wer {} der Betriebsrat?", ("ist | war", "wird | war")),
        ("Which machines {} replaced this year?", ("were | will be", "have been | are to be")),
    ),
    "may or must": (
        ("{} employees wear badges?", ("Must | May", "Should | Can", "Do | Must")),
        ("{} visitors sign in?", ("Do | Must", "May | Need")),
        ("Who {} sign the offer?", ("may | must", "can | should", "has to | is allowed to")),
        ("When {} a driver take a break?", ("can | must", "should | may")),
        ("Wer {} an der Schulung teilnehmen?", ("muss | darf", "kann | soll", "sollte | muss")),
        ("What {} be written in the log?", ("must | may", "need not | must")),
    ),
    "how many of them": (
        ("Do {} employees get a bonus?", ("all | some", "any | all", "most | all", "both | all")),
        (
            "Who checks {} deliveries?",
            ("all | some", "most | all", "many | few", "every second of the | all"),
        ),
        ("Is {} of the pumps tested?", ("each | one", "every one | any one", "neither | each")),
        (
            "Does {} need a helmet?",
            ("everyone | anyone", "somebody | everybody", "nobody | anybody"),
        ),
        (
            "Gilt die Regel für {} Mitarbeiter?",
            ("alle | einige", "jeden | manche", "die meisten | alle"),
        ),
    ),
    "for, by, from, with": (
        ("What was paid {} Nordwind?", ("to | by", "for | to", "to | from", "through | to")),
        ("Which documents come {} the customer?", ("from | for", "with | from")),
        ("What is stored {} the archive?", ("in | above", "behind | in", "next to | in")),
        ("Who works {} Anna Keller?", ("for | with", "under | above", "against | with")),
        ("Which discount is given {} orders?", ("on | against", "beyond | on")),
        ("What is sent {} email?", ("by | with", "by | instead of", "via | besides")),
        ("What is the distance {} the plant?", ("to | around", "from | across")),
        ("Was wird {} den Kunden geliefert?", ("an | von", "für | von", "zu | durch")),
        ("What happens {} the meeting?", ("at | after", "around | in", "following | during")),
    ),
    "whose": (
        (
            "Who is {}?",
            (
                "the manager's assistant | the assistant's manager",
                "the customer's supplier | the supplier's customer",
                "the tenant's landlord | the landlord's tenant",
            ),
        ),
        (
            "Where is {} stored?",
            ("her contract | his contract", "our stock | their stock", "your key | my key"),
        ),
        ("What is {} pension?", ("my | our", "an employee's | an employer's")),
        ("Wie lautet {} Kundennummer?", ("unsere | ihre", "seine | ihre")),
        ("Who approves {} invoices?", ("one's own | another's", "their own | each other's")),
    ),
    "who does it to whom": (
        (
            "What does the {} owe?",
            ("lessor | lessee", "payer | payee", "employer | employee", "licensor | licensee"),
        ),
        (
            "Who chooses the {}?",
            ("trainer | trainee", "interviewer | interviewee", "mentor | mentee"),
        ),
        (
            "What are the duties of the {}?",
            ("sender | receiver", "lender | borrower", "buyer | seller", "consignor | consignee"),
        ),
        (
            "Which manager {} the auditors?",
            ("pays | is paid by", "invited | was invited by", "helps | is helped by"),
        ),
        (
            "Wer haftet, der {}?",
            ("Vermieter | Mieter", "Käufer | Verkäufer", "Auftraggeber | Auftragnehmer"),
        ),
    ),
    "order of a compound": (
        (
            "What is a {}?",
            (
                "pump test | test pump",
                "contract draft | draft contract",
                "budget plan | plan budget",
                "house boat | boat house",
            ),
        ),
        (
            "Where is the {}?",
            ("oil tank | tank oil", "service desk | desk service", "board room | room board"),
        ),
        (
            "Who buys {}?",
            (
                "paper waste | waste paper",
                "steel scrap | scrap steel",
                "spare pump parts | pump spare parts sets",
            ),
        ),
        ("How is {} measured?", ("water heat | heat water", "engine speed | speed engine")),
    ),
    "prefix": (
        ("How do you {} the licence?", ("new | renew", "issue | reissue", "submit | resubmit")),
        (
            "When is the price {}?",
            (
                "calculated | recalculated",
                "paid | prepaid",
                "set | reset",
                "estimated | overestimated",
            ),
        ),
        (
            "Who may {} the work?",
            (
                "contract | subcontract",
                "order | reorder",
                "sign | countersign",
                "approve | preapprove",
            ),
        ),
        (
            "What is a {}?",
            (
                "contract | subcontract",
                "director | co-director",
                "director | ex-director",
                "manager | submanager",
            ),
        ),
        (
            "Wann wird {}?",
            (
                "bezahlt | angezahlt",
                "verkauft | gekauft",
                "bestellt | abbestellt",
                "gemeldet | abgemeldet",
            ),
        ),
    ),
    "particle": (
        ("When do you hand {} the laptop?", ("in | out", "over | back")),
        ("How do you turn the heating {}?", ("up | down", "on | off", "up | off")),
        ("How do you log {}?", ("on | off", "in | out")),
        ("What do you fill {}?", ("in | up",)),
        ("Who takes {} the orders?", ("over | down", "in | away")),
        ("Wie schaltet man die Anlage {}?", ("ein | aus", "an | ab", "um | aus")),
        ("Was nimmt der Kunde {}?", ("an | ab", "mit | zurück")),
    ),
    "more than, as much as": (
        (
            "Which pump is {} the AP-300?",
            (
                "larger than | as large as",
                "not as large as | as large as",
                "almost as large as | as large as",
            ),
        ),
        (
            "Which plant is {}?",
            ("the newest | new", "newer | the newest", "the second newest | the newest"),
        ),
        (
            "Which supplier is {}?",
            (
                "cheap | cheaper",
                "the cheapest | cheap",
                "too cheap | cheap",
                "cheap enough | too cheap",
            ),
        ),
        (
            "What costs {} 500 euros?",
            ("exactly | about", "almost | over", "twice | half", "up to | exactly"),
        ),
        ("Welche Pumpe ist {}?", ("die größte | groß", "größer | am größten", "zu groß | groß")),
    ),
    "how often": (
        (
            "Who checks the {} report?",
            ("daily | weekly", "monthly | quarterly", "annual | biannual"),
        ),
        (
            "Is the filter cleaned {}?",
            (
                "once a month | twice a month",
                "every day | every other day",
                "always | sometimes",
                "ever | always",
            ),
        ),
        (
            "What must be done {}?",
            ("first | last", "again | once", "always | never", "at once | later"),
        ),
        (
            "Wer macht die {} Prüfung?",
            ("tägliche | wöchentliche", "erste | zweite", "jährliche | halbjährliche"),
        ),
    ),
    "rank": (
        (
            "What is the {} language of the firm?",
            ("first | second", "primary | secondary", "main | only"),
        ),
        (
            "Who is the {} contact?",
            ("first | next", "previous | current", "former | present", "last | latest but one"),
        ),
        ("Who is the {} manager?", ("deputy | general", "assistant | acting", "senior | junior")),
    ),
    "still, yet, already": (
        (
            "Is the AP-200 {} sold?",
            ("still | no longer", "already | not yet", "still | already", "now | soon"),
        ),
        ("Which forms are {} needed?", ("still | no longer", "also | only", "even | only")),
        (
            "Wird die AP-200 {} verkauft?",
            ("noch | nicht mehr", "schon | noch nicht", "noch | schon"),
        ),
    ),
    "the other one": (
        (
            "Who may use {} car?",
            ("the other | the same", "another | the same", "one's own | another", "this | that"),
        ),
        ("What {} is insured?", ("else | all", "exactly | else")),
        ("Which of {} is faster?", ("the two | the three", "both | all")),
    ),
    "joined by": (
        ("Who needs a visa {} a permit?", ("and | or", "or | but not", "and not | and")),
        ("What happens {} the alarm rings?", ("if | unless", "while | until", "before | whenever")),
        (
            "Is lunch paid {} there is overtime?",
            ("if | even if", "only if | if", "when | except when"),
        ),
        ("Braucht man Helm {} Weste?", ("und | oder", "oder | ohne")),
    ),
    "a letter of case or accent": (
        ("How fast is a line of 10 {}?", ("MB/s | Mb/s", "Gb | GB")),
        ("What does one {} cost?", ("MW | mW", "kWh | kW", "m² | m³", "m | mm")),
        (
            "Wer muss hier {}?",
            ("zahlen | zählen", "fordern | fördern", "drucken | drücken", "lösen | losen"),
        ),
        ("Where is the {} kept?", ("resume | résumé",)),
        ("When does the {} begin?", ("march | March", "may | May")),
        ("Who speaks {}?", ("Polish | polish",)),
    ),
    "a sign or a point": (
        ("What happens at {} degrees?", ("-5 | 5", "+5 | -5", "1.5 | 15", "0.5 | 5")),
        (
            "What is due at {}?",
            ("10:30 | 10:03", "10:30 | 22:30", "8 am | 8 pm", "noon | midnight"),
        ),
        ("What does {} mean?", ("A/B | A&B", ">5 | <5", "5% | 5‰", "#1 | 1st")),
        ("Where is drive {}?", ("C: | D:", "C | D")),
        ("How many are {}?", ("3-5 | 35", "3/5 | 3-5", "1,000 | 1.0")),
    ),
    "one word or two": (
        (
            "What is {}?",
            (
                "everyday work | every day work",
                "a black board | a blackboard",
                "a hot line | a hotline",
                "a green house | a greenhouse",
            ),
        ),
        ("Who is paid for {}?", ("on call time | call on time", "over time | overtime")),
        (
            "What does the {} do?",
            ("sales person | salesperson's manager", "under writer | writer under"),
        ),
    ),
    "one or several": (
        ("What {} do?", ("does the data centre | do the data centres",)),
        (
            "Where {} stored?",
            ("is the spare rotor | are the spare rotors", "was the old pump | were the old pumps"),
        ),
        (
            "Where is the {} kept?",
            ("good | goods", "glass | glasses", "custom | customs", "mean | means"),
        ),
        (
            "Who pays {}?",
            ("damage | damages", "interest | interests", "saving | savings", "new | news"),
        ),
        ("What are the {} of the plant?", ("work | works", "arm | arms", "ground | grounds")),
    ),
    "word class": (
        ("Who {}?", ("books rooms | rooms books", "is the cook | does cook")),
        (
            "What is {}?",
            (
                "a sealing pump | a pump seal",
                "a closed shop | a closing shop",
                "training staff | trained staff",
            ),
        ),
        ("What is the {} time?", ("working | worked", "waiting | waited", "building | built")),
        (
            "Which goods are {}?",
            ("returned | returnable", "refunded | refundable", "damaged | damaging"),
        ),
    ),
    "said around it, and not idle": (
        (
            "{} the leave policy for interns?",
            ("What is | Who wrote", "Who can explain | What is", "Where do I find | Is there"),
        ),
        ("{} is the fire exit?", ("Where | How wide", "How far away | Where")),
        (
            "{} order gloves?",
            (
                "How do I | Why do I",
                "Should I | How do I",
                "May I | How do I",
                "When may I | When do I",
            ),
        ),
        (
            "{} the price of a valve?",
            ("What is | Why is it, ", "Do you know who sets | Do you know"),
        ),
        (
            "{} cancel an order?",
            (
                "Can I | Can they",
                "How can I | How can a customer",
                "How do we | How do you prevent people who",
            ),
        ),
        ("What is the {} today?", ("menu | menu not", "rate | rate as of")),
        (
            "What is the exchange rate {}?",
            ("today | now and then", "today | yesterday", "at present | at the start of the year"),
        ),
    ),
}
