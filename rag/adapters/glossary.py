"""Common business words in English and German, so that a question in one finds words in the other.

all-MiniLM-L6-v2 knows English only. This list stands in where a question and a passage are in
different languages; it is a setting, and another pair of languages is another list.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from rag.protocols import Translation
from rag.terms import is_german, stem, words_of

Glossary = Mapping[str, frozenset[str]]
"""The stem of a word to the stems of its translations, both ways."""

_PAIRS = """
absence=Abwesenheit,Fehlzeit accident=Unfall address=Adresse,Anschrift agreement=Vereinbarung,Vertrag alarm=Alarm
allowance=Zulage,Zuschlag,Pauschale,vergütet amount=Betrag,Höhe annual=jährlich answer=Antwort apprentice=Auszubildende,Lehrling,Azubi
approval=Genehmigung,Freigabe approve=genehmigen,freigeben assembly=Montage audit=Audit,Prüfung August=August authorised=befugt,berechtigt
authority=Behörde autumn=Herbst bearing=Lager bonus=Prämie,Bonus break=Pause brewery=Brauerei budget=Budget building=Gebäude
calibration=Kalibrierung canteen=Kantine car=Auto,Pkw castings=Gussteile,Guss certificate=Zertifikat,Bescheinigung chair=Vorsitz chief=Leiter
cleaning=Reinigung closed=geschlossen,gesperrt,Sperrung colour=Farbe commission=Provision company=Firma,Unternehmen,Betrieb
complaint=Reklamation,Beschwerde consumption=Verbrauch contact=Kontakt,Ansprechpartner contract=Vertrag cost=Kosten,kostet,Preis
costs=Kosten customer=Kunde customers=Kunden damage=Schaden date=Datum,Termin day=Tag days=Tage deadline=Frist,Termin December=Dezember
decide=beschließen decision=Beschluss,Entscheidung defect=Fehler,Mangel delay=Verzug,Verspätung late=spät,verspätet
deliver=liefern,Lieferung delivery=Lieferung,Liefertermin,Anlieferung department=Abteilung,Bereich deputy=Stellvertreter
discount=Rabatt dispatch=Versand,Auslieferung document=Dokument,Unterlage door=Tür,Tor drawing=Zeichnung drive=Antrieb
electricity=Strom emergency=Notfall,Notruf employee=Mitarbeiter,Beschäftigte employees=Mitarbeiter,Beschäftigte energy=Energie
engineer=Ingenieur equipment=Ausrüstung,Gerät exit=Ausgang expenses=Spesen,Auslagen expire=ablaufen factory=Werk,Fabrik failure=Ausfall,Störung
fault=Fehler,Störung February=Februar fee=Gebühr fine=Bußgeld fire=Brand,Feuer first=erste first-aid=Ersthelfer flow=Durchfluss,Förderstrom
forbidden=verboten,untersagt foundry=Gießerei Friday=Freitag gas=Gas gate=Tor glasses=Schutzbrille gloves=Handschuhe goods=Ware group=Gruppe
guest=Gast guests=Gäste visitor=Besucher hall=Halle hazardous=Gefahrstoff head=Leiter,Förderhöhe health=Gesundheit hearing=Gehör
heat=Wärme heating=Heizung helmet=Helm holiday=Urlaub,Feiertag hot=heiß hour=Stunde hours=Stunden,Uhr inspection=Prüfung,Inspektion,Kontrolle
insurance=Versicherung interval=Intervall,Abstand invoice=Rechnung January=Januar job=Stelle July=Juli June=Juni key=Schlüssel kilometre=Kilometer
laboratory=Labor ladder=Leiter language=Sprache law=Recht,Gesetz leak=Leckage leakage=Leckage leave=Urlaub level=Pegel,Stufe,Niveau
limit=Grenze,Grenzwert list=Liste machine=Maschine,Anlage maintenance=Wartung,Instandhaltung manager=Leiter,Führungskraft March=März
material=Werkstoff,Material maximum=höchstens,maximal,Maximum May=Mai measure=Maßnahme,messen medical=ärztlich meeting=Besprechung,Sitzung
member=Mitglied minimum=mindestens,Mindest minute=Minute Monday=Montag month=Monat motor=Motor current=Strom night=Nacht,nachts noise=Lärm,Schall,Schallpegel
notice=Aushang,Mitteilung,Kündigung notice-period=Kündigungsfrist number=Nummer,Anzahl,Zahl October=Oktober offer=Angebot office=Büro oil=Öl
on-call=Rufbereitschaft,Bereitschaft open=geöffnet,öffnet order=Auftrag,Bestellung orders=Aufträge,Bestellungen outside=außerhalb
overtime=Überstunden,Mehrarbeit paint=Lack,Farbe parking=Parkplatz,Parken park=Parkplatz part=Teil pay=Lohn,Gehalt,Vergütung,zahlen payment=Zahlung
penalty=Vertragsstrafe,Strafe permit=Erlaubnis,Genehmigung,Erlaubnisschein permitted=zulässig,erlaubt person=Person phone=Telefon
place=Ort,Platz plan=Plan plant=Werk,Anlage point=Punkt,Platz policy=Richtlinie,Regelung,Politik power=Leistung,Strom pressure=Druck price=Preis
probation=Probezeit procedure=Verfahren production=Produktion,Fertigung project=Projekt public=öffentlich,Feiertag pump=Pumpe pumps=Pumpen
purchase=Einkauf,Bestellung quality=Qualität quantity=Menge,Stückzahl quarter=Quartal question=Frage quotation=Angebot rate=Satz reason=Grund
reduce=senken,verringern refuse=ablehnen register=Verzeichnis,anmelden repair=Reparatur,Instandsetzung replace=ersetzen,tauschen,Ersatz
report=Bericht,melden request=Antrag,Anfrage required=erforderlich,vorgeschrieben,Pflicht rent=Miete responsible=verantwortlich,zuständig
return=Rückgabe,Rücksendung revenue=Umsatz risk=Risiko room=Raum rule=Regel safety=Sicherheit,Arbeitssicherheit salary=Gehalt Saturday=Samstag
schedule=Plan,Zeitplan seal=Dichtung seals=Dichtungen,Ersatzdichtungen September=September serial=Serien service=Wartung,Dienst shift=Schicht
shop=Werkstatt sick=krank,Krankheit sickness=Krankmeldung sign=unterschreiben,unterzeichnen signed=unterschrieben,unterzeichnet site=Standort,Werk smoke=rauchen,Rauch
spare=Ersatz,Ersatzteil spares=Ersatzteile spring=Feder,Frühling staff=Mitarbeiter,Personal start=Beginn,beginnt stock=Lager,Bestand stop=abbrechen,anhalten,Abbruch
storage=Lagerung store=lagern,Lager street=Straße summer=Sommer Sunday=Sonntag,Sonn supplier=Lieferant,Zulieferer supply=Versorgung
team=Team,Gruppe telephone=Telefon temperature=Temperatur tender=Ausschreibung test=Prüfung,Test bench=Prüfstand,Bank testing=Prüfung Thursday=Donnerstag
tool=Werkzeug torque=Drehmoment,Anzugsmoment training=Schulung,Ausbildung,Unterweisung travel=Reise,Dienstreise Tuesday=Dienstag unit=Einheit,Stück
valid=gültig valve=Ventil,Armatur vehicle=Fahrzeug vibration=Schwingung volume=Menge,Volumen wage=Lohn warehouse=Lager warranty=Gewährleistung,Garantie
waste=Abfall watch=Wache water=Wasser wear=Verschleiß,tragen Wednesday=Mittwoch week=Woche weekend=Wochenende weekly=wöchentlich weight=Gewicht
welding=Schweißen winter=Winter work=Arbeit worker=Mitarbeiter,Arbeiter working=Arbeits,Arbeitszeit works=Werk works-council=Betriebsrat council=Betriebsrat
workshop=Werkstatt year=Jahr years=Jahre yearly=jährlich broken=gebrochen,defekt lot=Los,Charge asphalting=Asphaltierung north=Nord south=Süd
east=Ost west=West compressed=Druckluft air=Luft euro=Euro percent=Prozent agreed=vereinbart brake=Bremse lead=Blei,Leitung allowed=erlaubt,zulässig
mandatory=Pflicht,vorgeschrieben protection=Schutz clothing=Kleidung shoes=Schuhe extinguisher=Feuerlöscher alarm=Alarm exercise=Übung meter=Zähler,Messgerät
brochure=Prospekt jubilee=Jubiläum anniversary=Jubiläum,Dienstjahre birthday=Geburtstag retirement=Rente,Ruhestand pension=Rente
"""


def _word_pairs() -> Iterator[tuple[str, str]]:
    for entry in _PAIRS.split():
        english, _, german = entry.partition("=")
        yield from ((english, word) for word in german.split(","))


def _built() -> Glossary:
    both: dict[str, set[str]] = {}
    for english, german in _word_pairs():
        both.setdefault(stem(english), set()).add(stem(german))
        both.setdefault(stem(german), set()).add(stem(english))
    return MappingProxyType({word: frozenset(others) for word, others in both.items()})


ENGLISH_GERMAN: Glossary = _built()


class GlossaryTranslator:
    """An English question's known words in German, and a German one's in English.

    A German compound gives the words it begins or ends with: `Lagergehäuse` gives `Lager`'s.
    """

    def __init__(self) -> None:
        self._german: dict[str, list[str]] = {}
        self._english: dict[str, list[str]] = {}
        for english, german in _word_pairs():
            self._german.setdefault(stem(english), []).append(german)
            self._english.setdefault(stem(german), []).append(english)

    def translate(self, text: str) -> Translation | None:
        if is_german(text):
            found, languages = self._from_german(text), ("en",)
        else:
            words = (self._german.get(stem(word), []) for word in words_of(text))
            found, languages = [german for known in words for german in known], ("de",)
        return Translation(" ".join(dict.fromkeys(found)), languages) if found else None

    def _from_german(self, text: str) -> list[str]:
        found: list[str] = []
        for word in map(stem, words_of(text)):
            if word in self._english:
                found += self._english[word]
                continue
            for part, english in self._english.items():
                if len(part) >= _PART_OF_COMPOUND and word.startswith(part) | word.endswith(part):
                    found += english
        return found


_PART_OF_COMPOUND = 5
"""Letters: shorter words stand inside others by chance."""
