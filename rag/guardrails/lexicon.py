"""Words by what they do in a sentence that tells a model what to do, whatever language it is in.

Folded, without accents (see `readings.folded`). The classifier sees the order of these classes
beside the words themselves, so a wording nobody thought of is still of a known shape.
"""

from collections.abc import Mapping
from types import MappingProxyType

_CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "drop": """ignore ignores ignoring ignored disregard disregarding forget forgets forgetting override overriding
            overwrite bypass bypassing skip discard drop erase neglect omit dismiss suspend cancel void nullify
            ignoriere ignorieren ignorier ignoriert vergiss vergesse vergessen missachte missachten missachtet
            verwirf verwerfe verwerfen ubergehe ubergehen uberschreibe losche ausser
            oublie oubliez oublier ignorez ignorer ignora ignoren ignorar olvida olvide olvidar omite dimentica
            dimenticare negeer vergeet ignoreer esqueca desconsidere zignoruj pomin zapomnij""",
        "off": """disable deactivate remove lift unlock abschalten deaktiviere deaktivieren schalte entferne stop stopp
            quit off aus ausschalten jailbreak jailbroken""",
        "prior": """previous prior earlier preceding above foregoing former original initial existing before past
            vorherigen vorherige vorigen vorige bisherigen bisherige obigen obige fruheren fruhere vorangegangenen
            vorangegangene ursprunglichen anfanglichen davor bisher oben oberhalb
            precedentes precedente anterieures dessus anteriores anterior previas previos previo arriba precedenti
            prima sopra vorige eerdere bovenstaande acima""",
        "all": """all any every everything whatever each alle alles samtliche jede toutes tous tout todas todos todo
            tutte tutti tutto entire whole complete full ganzen gesamten""",
        "orders": """instructions instruction orders directions directives directive commands command guidelines
            guideline guidance rules rule constraints constraint assignment task tasks context programming training
            anweisungen anweisung instruktionen instruktion befehle befehl vorgaben vorgabe regeln regel richtlinien
            aufgabe aufgaben auftrag auftrage consignes regles instrucciones istruzioni regole instrucoes instructies
            regels opdrachten polecenia instrukcje""",
        "prompt": """prompt prompts preprompt preamble systemprompt systemnachricht systemanweisungen
            systemanweisung""",
        "system": "system developer admin administrator root sudo debug entwickler entwicklermodus sistema systeme",
        "reveal": """reveal print show output repeat display tell disclose leak dump recite share expose paste spell
            echo give list write say return copy quote summarize translate zeige zeig gib verrate verrat nenne nenn
            wiederhole wiederhol drucke schreibe sag sage liste affiche montre revele muestra dime mostra dimmi toon
            geef mostre diga""",
        "your": """your yours dein deine deinen deiner deines ihr ihre ihren tes votre vos tus tu tuas
            suas jouw""",
        "you": "you du dich dir vous usted",
        "me": "me mir moi us uns",
        "my": "my mein meine meinen our unser unsere",
        "secret": """secret secrets password passphrase passwort kennwort keyword schlusselwort geheimnis geheimen
            hidden confidential credentials token flag codeword passcode contrasena senha wachtwoord
            vertraulichen vertrauliche geheime""",
        "bot": """ai llm llms assistant assistants chatbot chatbots chatgpt gpt bot bots agent agents model models ki
            sprachmodell sprachmodelle assistent assistenten summarizer ia modele asistente""",
        "act": """pretend act roleplay imagine simulate behave respond speak tu spiele spielst stell become
            impersonate antwortest pretending acting""",
        "now": """now henceforth onwards instead jetzt nun stattdessen ab sofort from maintenant ahora adesso
            begin start starting""",
        "mode": "mode modus modusohne session simulation character persona",
        "unbound": """unfiltered uncensored unrestricted amoral unethical immoral evil jailbroken limitless lawless
            restrictions restriction filters filter censorship ethics ethical moral morals limits limitations
            guardrails safeguards policies policy beschrankungen filtern moral unmoralisch ungefilterte ungefiltert
            illegal harmful""",
        "without": "without no free ohne frei keine kein sans sin senza zonder sem never nie niemals nicht not",
        "refuse": "refuse refuses refusing refused decline deny apologize apologise cannot warn warnings verweigere",
        "new": "new updated real actual true neue neuen neuer eigentliche wahre einzige nouvelle nueva",
        "send": """send forward upload transmit post mail leak report submit exfiltrate sende schicke leite
            ubermittle append attach embed include insert hange fuge fetch""",
        "place": "https http www url link webhook endpoint markdown pixel img src href",
        "user": """user users reader customer conversation chat history nutzer anwender benutzer leser gesprach
            gesprachsverlauf utilisateur usuario""",
        "read": """reading processing summarizing parsing indexing evaluating analysing analyzing lesen
            verarbeiten zusammenfassen liest""",
        "mention": "mention inform notice erwahne erwahnen mitteilen verraten",
        "tool": "tool function plugin api shell browser execute run call invoke werkzeug werkzeuge funktion",
        "destroy": "delete drop wipe transfer approve grant losche uberweise",
        "told": """told asked programmed instructed given ordered configured designed trained setup built created said
            gesagt gegeben eingerichtet programmiert befohlen""",
        "begin": "begin beginning started typing top first opening anfang erste ersten",
        "must": "must should shall has have always has muss mussen soll sollen sollst immer doit debe",
        "answer": "answer answers reply replies response responses summary antwort antworte antworten",
        "only": "only just nothing but else nur ausschliesslich",
        "harm": """bomb weapon weapons malware phishing hack hacking hacked steal drugs explosive explosives poison virus
            ransomware bombe waffe hacken stehlen drogen""",
        "doc": """document documents page text passage passages line lines paragraph handbook message messages words
            sentence conversation dokument dokumente seite absatz zeile texte nachricht""",
        "silent": "silently secretly quietly notice noticing hide hidden conceal heimlich unbemerkt",
        "question": "who what which where when why how whose wer was welche welcher welches wo wann warum wie",
        "can": "can could may would is are do does did kann kannst konnen darf durfen",
        "i": "i we ich wir",
        "the": "the a an der die das den dem ein eine",
        "where": "located inside within word verbatim wortlich exactly literally mot textuellement",
    }
)


def _codes() -> Mapping[bytes, int]:
    found: dict[bytes, int] = {}
    for number, words in enumerate(_CLASSES.values(), start=1):
        for word in words.split():
            found.setdefault(word.encode(), number)
    return MappingProxyType(found)


CODES: Mapping[bytes, int] = _codes()
"""Word to the number of its class, from 1."""
