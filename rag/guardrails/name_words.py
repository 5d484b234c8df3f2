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
    " wir sie es ihr wie wer wo mein unser kann im vom".split()
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
    "mr mrs ms miss dr prof professor sir madam dame lord lady herr frau hr fr dipl ing mag rev fr pater capt col gen lt sgt".split()
)
PARTICLES = frozenset(
    "de del della di da do dos das du des d la le les el los las van von der den het ter ten te ap ibn bin al y e i & av"
    " og och u ul út utca tér st rue via calle rua".split()
)
DAYS_AND_MONTHS = frozenset(
    "monday tuesday wednesday thursday friday saturday sunday january february march april june july august september"
    " october november december montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag januar februar"
    " märz mai juni juli oktober dezember".split()
)
LABELS = frozenset(
    "name address phone telephone tel mobile cell fax desk office email e-mail mail website web info personal billing"
    " shipping date where when zip adresse telefon telefax handy mobil anschrift firma website bot user".split()
)
ROMANCE = frozenset(
    "le la les et est que qui pour dans une des sur avec pas plus au aux ce cette el los las una por para con del se como"
    " il lo gli che per non di da della sono nel um uma não os dos na no".split()
)
"""French, Spanish, Italian and Portuguese: where these are many, unknown words are no names."""
ARTICLES = frozenset(
    "der die das den dem des ein eine einen einem einer eines kein keine keinen keinem keiner jede jeder jedes jeden jedem"
    " diese dieser dieses diesen diesem alle allen unsere unserer unserem unseren ihre ihrer ihrem ihren im am zum zur vom"
    " beim ins".split()
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
