"""Small sets of words that tell what stands beside them, English and German: none is anybody's name
unless it says so."""

FUNCTION = frozenset(
    "a an the this that these those i i'm i'd i'll i've you your he she it we they his her him its our their them my me"
    " mine us and or but nor if than then so because while when where what which who whom whose why how is are was were"
    " be been am do does did don't didn't has have had can can't could should would will won't may might must shall not no yes"
    " of in on at to for from by with about as into onto over under between during after before without within against"
    " there here let please hi hello hey dear thanks thank also too very just only even how's what's who's where's it's that's"
    " there's let's he's she's i'm they're you're we're isn't aren't wasn't doesn't wouldn't shouldn't couldn't haven't hasn't"
    " der die das den dem des ein eine einen einem einer eines und oder aber wenn als wie so ist sind war waren sein wird"
    " werden wurde wurden hat haben hatte hatten kann können muss müssen darf dürfen soll sollen ich du er sie es wir ihr"
    " mich mir dich dir ihn ihm uns euch ihnen mein dein unser was wer wen wem wo wann warum welche welcher welches im am an"
    " auf aus bei beim mit nach von vom vor zu zum zur für über unter durch gegen ohne um bis seit nicht kein keine ja nein"
    " bitte guten hallo liebe lieber sehr auch nur noch schon hier dort dass ob".split()
)
FIRST_PERSON = frozenset("i i'm i'd i'll i've".split())
ENGLISH = frozenset(
    "the of and to is are that this these for with it you my we they he she be have has had not from by what where who how"
    " when why your our their his her can could would should do does did i i'm me us them".split()
)
GERMAN = frozenset(
    "der die das den dem ein eine einen einem einer und oder ist sind wird werden nicht für mit auf von zu zum zur bei ich"
    " wir sie es ihr wie wer wo mein meine meinen unser kann im vom am aus nach auch noch hat haben bitte wann warum".split()
)
ALSO_NAMES = frozenset(
    "rose mark grace hope faith joy bill jack frank dean chance miles pat sue rob drew guy hazel ivy lily violet daisy ruby"
    " pearl amber crystal summer autumn dawn eve harmony melody carol robin jay iris ginger olive basil sandy clay cliff"
    " rock stone young king baker cook smith page rich ray gene art max victor chase hunter mason carter tanner parker"
    " taylor miller turner walker porter butler fisher fox wolf bishop pope price law hall hill wood woods banks brooks"
    " rivers lane fields green brown white black gray long short strong little noble bond cross church bell ball glass"
    " case field ford hardy sharp swift savage steel storm winter rush trout nick bob ben don ken kit lee mike pete ted tim"
    " tom wade ward warren will may april june august penny patience charity honor jewel opal sky star angel destiny"
    " klein lang kurz gross groß weiß schwarz braun roth koch bauer fischer weber schneider vogel wolf berger kaiser".split()
)
"""Common words that are names too, at the beginning of a sentence as likely as not."""
TITLES = frozenset(
    "mr mrs ms miss dr prof professor sir madam dame lord lady herr frau hr fr dipl ing mag herrn rev fr pater capt col gen lt sgt".split()
)
TITLES_SMALL = frozenset("herr herrn frau mr mrs ms miss dr prof professor".split())
"""Those that are hardly anything else when they are written small."""
ENGLISH_TITLES = TITLES_SMALL - {"herr", "herrn", "frau"}
PARTICLES = frozenset(
    "de del della di da do dos das du des d la le les el los las van von der den het ter ten te ap ibn bin al y e i & av"
    " og och u ul út utca tér st rue via calle rua".split()
)
DAYS = frozenset(
    "mondays tuesdays wednesdays thursdays fridays saturdays sundays monday tuesday wednesday thursday friday saturday sunday montag dienstag mittwoch donnerstag freitag samstag sonnabend"
    " sonntag lundi mardi mercredi jeudi vendredi samedi dimanche lunes martes miércoles jueves viernes sábado domingo lunedì"
    " martedì mercoledì giovedì venerdì sabato domenica maandag dinsdag woensdag donderdag vrijdag zaterdag zondag poniedziałek"
    " wtorek środa czwartek piątek sobota niedziela luni marți miercuri joi vineri sâmbătă duminică pazartesi salı çarşamba"
    " perşembe cumartesi hétfő kedd szerda csütörtök péntek szombat vasárnap mandag tirsdag onsdag torsdag fredag".split()
)
MONTHS = frozenset(
    "january february march april may june july august september october november december jan feb mar apr jun jul aug sept"
    " sep oct nov dec januar februar märz mai juni juli oktober dezember mrz okt dez".split()
)
MONTHS_OR_NAMES = frozenset("march april may june august mai jan mar dez".split())
"""Months only where the words beside them say so."""
BEFORE_MONTHS = frozenset(
    "in by since until till of from to through end early late mid last next this every each im bis ab seit anfang"
    " ende mitte zum vom letzten nächsten diesen between during for on before after".split()
)
EVERY = frozenset("every each any jeden jeder jede immer".split())
LABELS = frozenset(
    "name address phone telephone tel mobile cell fax desk office email e-mail mail website web info personal billing"
    " shipping date where when zip adresse telefon telefax handy mobil anschrift firma website bot user".split()
)
WORK = frozenset(
    "hz khz mhz ghz people purchase council union minutes desk agenda memo appraisal shift shifts apprentice apprentices trainee union intern policy policies director directors manager managers management department departments team teams quality finance sales"
    " board committee section sections annex appendix table figure chapter version step item part parts order orders"
    " invoice invoices contract contracts form forms procedure procedures standard standards handbook guide guideline report"
    " reports project plant works warehouse supplier suppliers customer customers employee employees engineering engineer"
    " purchasing production maintenance service support legal compliance safety security training officer lead chief"
    " executive secretary counsel adviser advisor assistant controller supervisor planner analyst agreement terms conditions"
    " schedule clause article note notes request requests ticket tickets level stage phase document documents file"
    " folder index register rule rules act directive regulation code intranet portal system software server network"
    " internet email account accounts payable receivable budget costs tax holidays leave overtime"
    " expenses travel hotel flight train office canteen reception meeting room floor building site line"
    " machine pump pumps motor valve valves seal seals bearing bearings shaft casing impeller flow pressure temperature speed"
    " power material materials operator operators user users admin administrator god earth internet ".split()
)
"""What English capitalises in titles and roles: no name, unless one stands beside it."""
SHORT_FOR = frozenset(
    "it hr id pc hz khz kwh kva qa cv tv pr pm am ok no nr kg kw db ui ux ip qr gbp eur usd chf gmbh ltd plc inc".split()
)
"""In capitals, and nobody's name; countries and states are not here."""
PEOPLES = frozenset(
    "chinese israeli polish saudi vietnamese buddhist protestant shii shiis shia sunni sunnis pole poles türke syrer irin deutsche"
    " swede swedes finn finns peruvians portugueses middle-east middle-eastern far-eastern new-yorker new-yorkers turkey guinea"
    " niger wales europe kurdistan uk united".split()
)
"""Peoples and countries that the lists have as words."""
GERMAN_PEOPLES = frozenset(
    f"{people}isch{ending}"
    for people in (
        "afghan alban alger arab argentin armen bosn brasilian bulgar chines dän estn eritre finn georg griech ind irak iran"
        " ir israel italien japan jordan kasach kenian kolumbian korean kosovar kroat kurd lett liban litau marokkan maked"
        " mexikan moldau nigerian niederländ norweg pakistan philippin poln portugies rumän russ schwed serb slowak slowen"
        " somal span syr thailänd tschech tschetschen tunes türk ukrain ungar vietnames weißruss belaruss ghana"
    ).split()
    for ending in ("", "e", "en", "er", "es", "em")
)
"""German writes them small. What is mostly the name of a language in an office is not among them."""
COLLEAGUES = frozenset(
    "kollege kollegen kollegin kunde kunden kundin meister meisterin fahrer fahrerin nachbar nachbarin patient patientin"
    " betriebsrat vorarbeiter auszubildende auszubildenden azubi ingenieur ingenieurin".split()
)
"""German nouns that stand before a name."""
DO_AS_PEOPLE = frozenset(
    "hat hatte sagt sagte meint meinte fragt fragte will möchte kommt kam weiß".split()
)
"""German verbs after which a noun that opens the sentence without an article is somebody's name."""
RELATIVES = frozenset(
    "he she i'm he's she's er sie ich son daughter wife husband mother father brother sister sohn tochter mann frau mutter vater"
    " bruder schwester".split()
)
"""Of whom an age is said."""

ALSO_TOWNS = frozenset(
    "reading bath nice split mobile hull cork bury wells sandwich sale deal rugby ware battle mold ash stone hove hope crook"
    " march eye rye beer street barking tring essen halle waren singen regen minden hagen siegen kiel lage senden leer norden"
    " haar aue hof weiden worms baden buchen ahlen plauen bergen baar brake".split()
)
"""Common words that are towns, too, where the words beside them say so."""
BEFORE_TOWNS = frozenset(
    "in from to near via at nach aus bei von within around outside leaving towards".split()
)
FIRMS = frozenset(
    "ag kg eg se sa bv ohg ug kgaa inc ltd llc gmbh plc corp corporation limited".split()
)
"""Behind the name of a firm."""
PRESENTED_BY = frozenset(
    "it's its thx thanks regards grüße gruß lg mfg danke hallo hi hey hello dear liebe lieber".split()
)
PRESENTED_BY_TWO = frozenset(
    [
        ("this", "is"),
        ("i", "am"),
        ("here", "is"),
        ("ich", "bin"),
        ("hier", "ist"),
        ("hier", "spricht"),
        ("das", "ist"),
    ]
)
"""Before somebody's name as often as before anything else."""
GREETED = frozenset(
    "all team everyone everybody folks guys both again sir madam colleague colleagues support world friends mate zusammen leute"
    " kollegen kolleginnen kollege kollegin herren damen freunde".split()
)
"""What stands after a greeting and is no name."""
PLACES = frozenset("bridge airport county cathedral castle river".split())
"""Written small behind the name of one."""
NUMBERED = frozenset(
    "section sections table figure fig chapter version versions page pages step steps item annex appendix article clause"
    " level grade line rev revision release issue paragraph part phase stage rule note class type model order no question"
    " abschnitt kapitel tabelle abbildung bild seite seiten schritt punkt anhang anlage artikel absatz stufe klasse typ"
    " ausgabe fassung satz zeile teil iso en din".split()
)
"""Before a number that is of a document or a product, and nobody's."""
MONEY = frozenset("gbp eur usd chf euro euros pound pounds dollar dollars".split())
CALLED_BY_NUMBER = frozenset(
    "age aged alter nr no number nummer apt unit suite flat room box zip code jahrgang extension ext".split()
)
"""Before a short number that may be somebody's."""
IDENTITY = (
    "(?:licen[cs]e |number )?plate|kennzeichen|passport|reisepass|pass|ausweis|licen[cs]e|führerschein|driver|badge|student"
    "|member|mitglied|personnel|personalnummer|personal|employee|mitarbeiter|patient|kunden?|kundin|kundennummer|customer no"
    "|versicher|insurance|card|karte|konto|account|visa|vehicle|wagen|auto|transporter|car|van|lorry|zip|postcode|plz|id"
    "|steuer|tax|social|user|login"
)
"""Where one of these stands before what looks like the code of a product, it may be somebody's number."""
NAME_TAILS = (
    "mann berg berger stein bach burg dorf hausen heim feld furt brück hofer inger meier mayer maier huber müller schmidt"
    " schmied thal wald baum kopf büttel stedt leben rode macher kirchen hagen münde walde born bronn beuren hofen weiler scheid ski sky sson gärtner fahrer".split()
)
"""Endings of German family names and towns, whatever the word before them says."""
ENGLISH_NAME_TAILS = "field wood worth ford bridge brook stone land well wells wright smith hill dale burn berry ham more house son man".split()
FAMILIES = frozenset(
    "müller schmidt schneider fischer weber meyer wagner becker schulz hoffmann schäfer koch bauer richter klein wolf schröder"
    " neumann schwarz zimmermann braun krüger hofmann hartmann lange schmitt werner krause meier lehmann schmid schulze maier"
    " köhler herrmann könig walter mayer huber kaiser fuchs peters lang scholz möller weiß jung hahn schubert vogel friedrich"
    " keller günther frank berger winkler roth beck lorenz baumann franke albrecht schuster simon ludwig böhm winter kraus"
    " martin schumacher krämer vogt stein jäger otto sommer groß seidel heinrich brandt haas schreiber graf schulte dietrich"
    " ziegler kuhn kühn pohl engel horn busch bergmann thomas voigt sauer arnold wolff pfeiffer decker gärtner maurer sattler"
    " metzger bäcker förster kramer kessler lindner moser wirth zeller rose blum adler falk hirsch kern nagel sturm".split()
)
"""German family names that are words as well."""
TOWN_BEGINNINGS = frozenset(
    "bad port new san santa saint sankt st fort mount mt lake los las north south east west upper lower great ober unter alt"
    " neu groß klein".split()
)
"""Before the rest of the name of a town."""
ROMANCE = frozenset(
    "le la les et est que qui pour dans une des sur avec pas plus au aux ce cette el los las una por para con del se como"
    " il lo gli che per non di da della sono nel um uma não os dos na no".split()
)
"""French, Spanish, Italian and Portuguese: where these are many, unknown words are no names."""
ARTICLES = frozenset(
    "der die das den dem des ein eine einen einem einer eines kein keine keinen keinem keiner jede jeder jedes jeden jedem"
    " diese dieser dieses diesen diesem alle allen unsere unserer unserem unseren ihre ihrer ihrem ihren im am zum zur vom"
    " beim ins viele vielen wenige wenigen einige einigen mehrere mehreren beide beiden zwei drei vier fünf sechs sieben acht"
    " neun zehn pro je per jeweils welche welcher welches welchem welchen".split()
)
"""Before German nouns; before names hardly ever."""
NOUN_ENDINGS = (
    "ung ungen heit heiten keit keiten schaft schaften tion tionen ismus ment nis nisse tum tät täten enz anz"
    " ierung mittel zeit zeiten stelle gerät anlage".split()
)
"""Of German nouns that are no names."""
GERMAN_NOUNS = frozenset(
    "tag tage tagen woche wochen monat monate monaten jahr jahre jahren stunde stunden minute minuten sekunde sekunden uhr"
    " prozent euro stück uhrzeit datum frist fristen termin termine urlaub arbeitszeit überstunden gehalt lohn vertrag verträge"
    " kunde kunden mitarbeiter mitarbeitende mitarbeiterin beschäftigte personal chef chefin vorgesetzte team abteilung betrieb"
    " firma unternehmen werk halle büro standort lager maschine maschinen pumpe pumpen motor ventil ventile teil teile gehäuse"
    " welle dichtung dichtungen werkzeug rechnung rechnungen angebot angebote auftrag aufträge preis preise kosten betrag steuer"
    " konto bank geld reise reisen hotel fahrt auto wagen zug flug ticket antrag anträge formular unterschrift regel regeln"
    " richtlinie fall fälle frage fragen antwort antworten problem fehler grund ziel aufgabe aufgaben arbeit pause krankheit arzt"
    " attest notfall feuer alarm ausgang eingang tür fenster schlüssel ausweis passwort passwörter rechner computer laptop"
    " telefon handy netz netzwerk drucker programm software daten datei dateien mail mails nachricht brief post seite seiten"
    " abschnitt kapitel tabelle liste bild zeichnung zeichnungen maß maße gewicht druck temperatur strom spannung wasser öl luft"
    " stahl eisen holz farbe messe schulung kurs prüfer prüfling ausbildung azubi bewerber bewerbung eltern kind kinder familie"
    " mann frau menschen leute anfang ende mitte hilfe dank weg art zahl zahlen name namen adresse ort land stadt haus raum".split()
)
"""Common ones that no ending tells."""
