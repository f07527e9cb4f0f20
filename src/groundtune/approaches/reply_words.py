"""List words of many languages that tell how a reply is built: names of sources, greetings, offers, yes and no.

Data for `citation_markers` and `statements`, written for this purpose; speakers may correct and complete it. A language
that is missing loses only this: `[Quelle 1]` in it is text, and a greeting counts as a sentence. Case and accents do
not matter. Words are separated by spaces, phrases by "|".
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReplyWords:
    """The words of one language."""

    sources: str
    """What a model may call a passage before its number, in singular and plural. Never words that number parts of a
    document, such as "section" or "article"."""
    joins: str
    """Words between two numbers, such as "and"."""
    pointers: str
    """Words before the first source, such as "see"."""
    greetings: str
    """Whole sentences without content; the name of a person may follow."""
    offers: str
    """Beginnings of sentences that offer, thank or announce."""
    answers: str
    """Yes and no."""


REPLY_WORDS = {
    "english": ReplyWords(
        "passage passages source sources document documents doc docs reference references ref refs citation "
        "citations cite excerpt excerpts extract extracts snippet snippets chunk chunks context contexts "
        "evidence footnote quote result results file files text texts src id idx index",
        "and or",
        "see also cf from",
        "hello|hi|hey|dear|sure|certainly|of course|absolutely|gladly|thanks|thank you|thank you very much"
        "|you're welcome|welcome|great question|good question|good morning|good afternoon|good day"
        "|have a nice day|have a great day|best regards|kind regards|regards|sincerely|sorry|understood|okay|ok",
        "thank you for|thanks for|i hope|hope this|hope that|let me know|please let me know|feel free"
        "|please feel free|if you have any questions|if you have any other|if you have any further"
        "|if you have more questions|if you need any further|if you need more|if you need anything|happy to help"
        "|i'm happy to|i am happy to|i'd be happy|glad to|here is what|here's what|here are the|here is the"
        "|here is a|here's a|below is|below are|let me explain|i can help|is there anything|do not hesitate"
        "|don't hesitate|that is what i found|that's what i found",
        "yes no",
    ),
    "german": ReplyWords(
        "passage passagen quelle quellen dokument dokumente abschnittsquelle textstelle textstellen beleg belege "
        "verweis verweise referenz referenzen auszug auszüge textauszug fundstelle fundstellen zitat zitate "
        "fußnote kontext textpassage textpassagen unterlage unterlagen datei",
        "und oder",
        "siehe vgl aus laut",
        "hallo|guten tag|guten morgen|guten abend|liebe|lieber|sehr geehrte|sehr geehrter|gerne|gern|natürlich"
        "|klar|selbstverständlich|danke|vielen dank|gute frage|viele grüße|mit freundlichen grüßen"
        "|freundliche grüße|schönen tag noch|einen schönen tag|bitte sehr",
        "vielen dank für|danke für|ich hoffe|hoffentlich hilft|lassen sie mich wissen|lass mich wissen"
        "|bei weiteren fragen|bei rückfragen|falls sie weitere|wenn sie weitere|falls du weitere|wenn du weitere"
        "|gerne helfe ich|gern helfe ich|hier ist|hier sind|hier finden sie|im folgenden finden sie"
        "|folgendes habe ich gefunden|melden sie sich",
        "ja nein doch",
    ),
    "french": ReplyWords(
        "passage passages source sources document documents référence références extrait extraits citation "
        "citations contexte pièce fichier texte textes",
        "et ou",
        "voir cf de selon",
        "bonjour|bonsoir|salut|cher|chère|bien sûr|certainement|merci|merci beaucoup|bonne question|cordialement"
        "|bien cordialement|bonne journée|avec plaisir|volontiers",
        "merci pour|merci de|j'espère|n'hésitez pas|si vous avez d'autres|si vous avez des questions"
        "|si vous souhaitez plus|voici|voilà|dites-moi|je reste",
        "oui non si",
    ),
    "italian": ReplyWords(
        "passaggio passaggi brano brani fonte fonti documento documenti riferimento riferimenti estratto "
        "estratti citazione citazioni contesto testo testi",
        "e ed o",
        "vedi cfr da secondo",
        "ciao|buongiorno|buonasera|salve|gentile|certo|certamente|grazie|grazie mille|ottima domanda"
        "|buona domanda|cordiali saluti|buona giornata|volentieri",
        "grazie per|spero che|non esitare|non esiti|se hai altre|se ha altre|se avete altre|ecco|fammi sapere"
        "|mi faccia sapere",
        "sì no",
    ),
    "spanish": ReplyWords(
        "pasaje pasajes fuente fuentes documento documentos referencia referencias extracto extractos fragmento "
        "fragmentos cita citas contexto texto textos",
        "y e o",
        "véase ver de según",
        "hola|buenos días|buenas tardes|buenas noches|estimado|estimada|claro|por supuesto|gracias|muchas gracias"
        "|buena pregunta|saludos|un saludo|atentamente|con gusto|que tenga un buen día",
        "gracias por|espero que|no dudes|no dude|si tienes más|si tiene más|si tienes alguna|si tiene alguna"
        "|si necesita más|aquí está|aquí están|aquí tienes|aquí tiene|a continuación|házmelo saber|avísame",
        "sí no",
    ),
    "portuguese": ReplyWords(
        "passagem passagens trecho trechos fonte fontes documento documentos referência referências excerto "
        "excertos citação citações contexto texto textos",
        "e ou",
        "ver veja de segundo",
        "olá|oi|bom dia|boa tarde|boa noite|caro|cara|prezado|prezada|claro|com certeza|obrigado|obrigada"
        "|muito obrigado|boa pergunta|atenciosamente|cumprimentos|com prazer",
        "obrigado por|obrigada por|espero que|não hesite|se tiver mais|se tiver alguma|se precisar de mais"
        "|aqui está|aqui estão|segue|seguem|me avise",
        "sim não",
    ),
    "dutch": ReplyWords(
        "passage passages bron bronnen document documenten referentie referenties verwijzing verwijzingen "
        "fragment fragmenten citaat citaten uittreksel context tekst teksten",
        "en of",
        "zie vgl uit volgens",
        "hallo|hoi|goedemorgen|goedemiddag|goedendag|beste|geachte|natuurlijk|zeker|uiteraard|bedankt|dank u"
        "|dank je|dank je wel|dank u wel|goede vraag|met vriendelijke groet|vriendelijke groeten|graag gedaan"
        "|fijne dag",
        "bedankt voor|dank voor|ik hoop|laat het me weten|laat me weten|als u nog|als je nog|hier is|hier zijn"
        "|hieronder|aarzel niet",
        "ja nee",
    ),
    "swedish": ReplyWords(
        "passage stycke stycken källa källor dokument referens referenser utdrag citat kontext text texter",
        "och eller",
        "se jfr från enligt",
        "hej|hallå|god dag|god morgon|bästa|självklart|visst|absolut|tack|tack så mycket|bra fråga"
        "|vänliga hälsningar|med vänlig hälsning|ha en bra dag",
        "tack för|jag hoppas|hoppas att|låt mig veta|hör av dig|om du har fler|om du har några|om ni har fler"
        "|här är|här kommer|nedan följer|tveka inte",
        "ja nej jo",
    ),
    "danish": ReplyWords(
        "passage passager kilde kilder dokument dokumenter reference referencer henvisning uddrag citat citater "
        "kontekst tekst tekster",
        "og eller",
        "se jf fra ifølge",
        "hej|goddag|god morgen|kære|selvfølgelig|naturligvis|ja da|tak|mange tak|godt spørgsmål|venlig hilsen"
        "|med venlig hilsen|hav en god dag",
        "tak for|jeg håber|lad mig vide|hvis du har flere|hvis i har flere|her er|nedenfor|tøv ikke",
        "ja nej jo",
    ),
    "norwegian": ReplyWords(
        "passasje passasjer kilde kilder dokument dokumenter referanse referanser henvisning utdrag sitat "
        "sitater kontekst tekst tekster",
        "og eller",
        "se jf fra ifølge",
        "hei|god dag|god morgen|kjære|selvfølgelig|selvsagt|gjerne|takk|tusen takk|mange takk|godt spørsmål"
        "|vennlig hilsen|med vennlig hilsen|ha en fin dag",
        "takk for|jeg håper|gi meg beskjed|si fra|hvis du har flere|hvis dere har flere|her er|nedenfor|ikke nøl",
        "ja nei jo",
    ),
    "finnish": ReplyWords(
        "kohta kohdat lähde lähteet lähteen lähteiden dokumentti dokumentit asiakirja asiakirjat viite viitteet "
        "ote otteet katkelma katkelmat lainaus lainaukset konteksti teksti tekstit",
        "ja tai sekä",
        "katso ks vrt",
        "hei|moi|terve|hyvää päivää|hyvää huomenta|tietenkin|toki|kiitos|kiitoksia|paljon kiitoksia|hyvä kysymys"
        "|ystävällisin terveisin|terveisin|hyvää päivänjatkoa",
        "kiitos kysymyksestä|toivottavasti|toivon, että|jos sinulla on lisää|jos sinulla on muita"
        "|jos teillä on lisää|tässä on|tässä ovat|alla on|kerro, jos|älä epäröi",
        "kyllä ei joo",
    ),
    "hungarian": ReplyWords(
        "szakasz szakaszok forrás források dokumentum dokumentumok hivatkozás hivatkozások idézet idézetek "
        "részlet részletek szövegrész kivonat kontextus szöveg",
        "és vagy",
        "lásd ld vö",
        "szia|helló|üdvözlöm|jó napot|jó reggelt|kedves|tisztelt|természetesen|persze|köszönöm|köszönöm szépen"
        "|köszi|jó kérdés|üdvözlettel|szép napot",
        "köszönöm a|köszönjük a|remélem|ha további|ha kérdése|itt van|itt vannak|íme|az alábbiakban"
        "|forduljon hozzám|szívesen",
        "igen nem",
    ),
    "romanian": ReplyWords(
        "pasaj pasaje pasajul sursă surse sursa sursele document documente documentul referință referințe extras "
        "extrase fragment fragmente citat citate context text texte",
        "și sau",
        "vezi cf din conform",
        "bună|bună ziua|bună dimineața|salut|dragă|stimate|stimată|desigur|sigur|cu siguranță|mulțumesc"
        "|mulțumesc mult|bună întrebare|cu stimă|o zi bună|cu plăcere",
        "mulțumesc pentru|mulțumim pentru|sper că|nu ezitați|nu ezita|dacă aveți alte|dacă aveți întrebări"
        "|dacă ai alte|iată|mai jos|spuneți-mi",
        "da nu ba",
    ),
    "turkish": ReplyWords(
        "pasaj pasajlar kaynak kaynaklar kaynağı belge belgeler doküman dokümanlar referans referanslar alıntı "
        "alıntılar parça parçalar metin metinler bağlam",
        "ve veya",
        "bkz bakınız",
        "merhaba|merhabalar|selam|iyi günler|günaydın|sayın|değerli|tabii|tabii ki|elbette|teşekkürler"
        "|teşekkür ederim|çok teşekkürler|güzel soru|saygılarımla|iyi günler dilerim|rica ederim",
        "sorunuz için teşekkür|umarım|başka bir sorunuz|başka sorunuz|lütfen bana|çekinmeyin|işte|aşağıda"
        "|bana bildirin",
        "evet hayır",
    ),
    "russian": ReplyWords(
        "отрывок отрывки фрагмент фрагменты источник источники источника источников документ документы ссылка "
        "ссылки цитата цитаты выдержка выдержки контекст текст тексты пассаж",
        "и или",
        "см из согласно",
        "здравствуйте|привет|добрый день|доброе утро|добрый вечер|уважаемый|уважаемая|конечно|разумеется"
        "|безусловно|спасибо|большое спасибо|хороший вопрос|с уважением|хорошего дня|пожалуйста",
        "спасибо за|благодарю за|надеюсь|если у вас есть вопросы|если у вас есть еще|если у вас возникнут"
        "|если у вас остались|дайте мне знать|дайте знать|обращайтесь|не стесняйтесь|вот что|вот информация"
        "|вот ответ|ниже приведен|рад помочь",
        "да нет",
    ),
    "greek": ReplyWords(
        "απόσπασμα αποσπάσματα πηγή πηγές έγγραφο έγγραφα αναφορά αναφορές παραπομπή παραπομπές κείμενο κείμενα "
        "χωρίο χωρία παράθεμα",
        "και ή",
        "βλ δείτε",
        "γεια|γεια σας|γεια σου|καλημέρα|καλησπέρα|καλή σας μέρα|αγαπητέ|αγαπητή|βεβαίως|φυσικά|ευχαριστώ"
        "|ευχαριστώ πολύ|ευχαριστούμε|καλή ερώτηση|με εκτίμηση|παρακαλώ",
        "ευχαριστώ για|ευχαριστούμε για|ελπίζω|εάν έχετε άλλες|αν έχετε άλλες|αν έχετε ερωτήσεις"
        "|αν χρειάζεστε περισσότερα|ορίστε|ακολουθούν|παρακάτω|ενημερώστε με|μη διστάσετε",
        "ναι όχι",
    ),
    "arabic": ReplyWords(
        "المقطع مقطع المقاطع مقاطع المصدر مصدر المصادر مصادر الوثيقة وثيقة الوثائق وثائق المستند مستند المستندات "
        "المرجع مرجع المراجع الاقتباس اقتباس النص نص",
        "و أو",
        "انظر راجع",
        "مرحبا|مرحباً|أهلا|أهلاً|السلام عليكم|صباح الخير|مساء الخير|بالطبع|بالتأكيد|شكرا|شكراً|شكرا لك|شكراً لك"
        "|سؤال جيد|مع تحياتي|تحياتي|يوم سعيد",
        "شكرا على|شكراً على|آمل|أتمنى|إذا كان لديك أي|إذا كانت لديك أي|لا تتردد|إليك|فيما يلي",
        "نعم لا كلا",
    ),
    "tamil": ReplyWords(
        "பத்தி பத்திகள் மூலம் மூலங்கள் ஆதாரம் ஆதாரங்கள் ஆவணம் ஆவணங்கள் குறிப்பு குறிப்புகள் மேற்கோள் உரை",
        "மற்றும் அல்லது",
        "பார்க்க",
        "வணக்கம்|நன்றி|மிக்க நன்றி|நிச்சயமாக|கண்டிப்பாக|நல்ல கேள்வி|காலை வணக்கம்",
        "உங்கள் கேள்விக்கு நன்றி|நான் நம்புகிறேன்|இதோ|கீழே",
        "ஆம் இல்லை",
    ),
    "polish": ReplyWords(
        "fragment fragmenty źródło źródła dokument dokumenty odniesienie cytat cytaty wyciąg kontekst tekst",
        "i oraz lub",
        "zob patrz",
        "cześć|dzień dobry|witam|szanowny panie|szanowna pani|oczywiście|jasne|dziękuję|dziękuję bardzo"
        "|dobre pytanie|pozdrawiam",
        "dziękuję za|mam nadzieję|jeśli masz pytania|jeśli masz dodatkowe|oto|poniżej|daj znać|proszę dać znać",
        "tak nie",
    ),
    "czech": ReplyWords(
        "pasáž pasáže úryvek úryvky zdroj zdroje dokument dokumenty odkaz odkazy citace kontext text",
        "a nebo",
        "viz",
        "ahoj|dobrý den|vážený pane|vážená paní|samozřejmě|jistě|děkuji|díky|dobrá otázka|s pozdravem|hezký den",
        "děkuji za|doufám|pokud máte další|pokud máte dotazy|zde je|zde jsou|níže|dejte mi vědět",
        "ano ne",
    ),
    "ukrainian": ReplyWords(
        "уривок уривки фрагмент фрагменти джерело джерела документ документи посилання цитата цитати контекст "
        "текст",
        "і й та або",
        "див",
        "вітаю|привіт|добрий день|доброго дня|звичайно|звісно|дякую|щиро дякую|гарне запитання|з повагою"
        "|гарного дня",
        "дякую за|сподіваюся|якщо у вас є запитання|якщо у вас виникнуть|якщо у вас є ще|дайте мені знати"
        "|звертайтеся|ось|нижче",
        "так ні",
    ),
    "chinese": ReplyWords(
        "段落 来源 來源 资料 資料 文档 文檔 文件 参考 參考 参考资料 參考資料 参考文献 引用 文献 出处 出處 片段 "
        "文本 依据 原文 上下文 网页",
        "和 与 與 及 或",
        "见 見 参见 參見",
        "你好|您好|好的|当然|當然|当然可以|谢谢|謝謝|不客气|不客氣|没问题|祝您愉快|祝好",
        "感谢您|感謝您|谢谢您的|希望这|希望這|希望以上|如果您还有|如果你还有|如有疑问|如有其他|以下是|下面是"
        "|请随时|請隨時|很高兴",
        "是 是的 不 不是 否 有 没有 可以 不可以",
    ),
    "japanese": ReplyWords(
        "段落 出典 資料 文書 ドキュメント 参考 参照 参考文献 引用 文献 抜粋 パッセージ ソース テキスト 文脈 脚注",
        "と および 及び または や",
        "",
        "こんにちは|おはようございます|こんばんは|はい、承知しました|承知しました|かしこまりました|もちろん"
        "|もちろんです|ありがとうございます|よろしくお願いします|よろしくお願いいたします",
        "ご質問ありがとう|お問い合わせありがとう|ご不明な点|お役に立て|以下は|以下の|以下に|他にご質問",
        "はい いいえ",
    ),
    "korean": ReplyWords(
        "구절 단락 출처 자료 문서 참고 참조 참고문헌 인용 발췌 문헌 원문 텍스트 각주",
        "및 와 과 또는",
        "참조",
        "안녕하세요|네, 알겠습니다|물론입니다|물론이죠|감사합니다|고맙습니다|좋은 질문입니다|좋은 하루 되세요",
        "질문해 주셔서|문의해 주셔서|도움이 되|추가 질문|더 궁금한|다음은|아래는|언제든지",
        "네 예 아니요 아니오",
    ),
    "thai": ReplyWords(
        "ข้อความ แหล่งที่มา แหล่ง แหล่งข้อมูล เอกสาร อ้างอิง เอกสารอ้างอิง บทความ ย่อหน้า",
        "และ หรือ",
        "ดู",
        "สวัสดี|สวัสดีครับ|สวัสดีค่ะ|แน่นอน|แน่นอนครับ|แน่นอนค่ะ|ขอบคุณ|ขอบคุณครับ|ขอบคุณค่ะ|ยินดีครับ|ยินดีค่ะ",
        "ขอบคุณสำหรับ|หวังว่า|หากมีคำถาม|หากคุณมีคำถาม|ต่อไปนี้|นี่คือ",
        "ใช่ ไม่ ไม่ใช่",
    ),
    "hebrew": ReplyWords(
        "קטע קטעים מקור מקורות מסמך מסמכים הפניה הפניות ציטוט ציטוטים טקסט",
        "או",
        "ראה ראו",
        "שלום|היי|בוקר טוב|ערב טוב|בוודאי|כמובן|תודה|תודה רבה|שאלה טובה|בברכה|יום טוב",
        "תודה על|אני מקווה|אם יש לך שאלות|להלן|הנה|אל תהסס",
        "כן לא",
    ),
    "hindi": ReplyWords(
        "अनुच्छेद स्रोत दस्तावेज़ दस्तावेज संदर्भ उद्धरण अंश पाठ",
        "और या",
        "देखें",
        "नमस्ते|नमस्कार|ज़रूर|जरूर|बेशक|धन्यवाद|बहुत धन्यवाद|अच्छा प्रश्न|शुक्रिया",
        "आपके प्रश्न के लिए|मुझे आशा है|यदि आपके कोई|अगर आपके कोई|यहाँ|नीचे",
        "हाँ नहीं हां",
    ),
    "indonesian": ReplyWords(
        "kutipan sumber dokumen referensi teks konteks rujukan",
        "dan atau",
        "lihat",
        "halo|hai|selamat pagi|selamat siang|tentu|tentu saja|terima kasih|sama-sama|pertanyaan bagus|salam"
        "|hormat saya",
        "terima kasih atas|semoga|jika anda memiliki pertanyaan|jika anda punya pertanyaan|berikut"
        "|silakan hubungi|beri tahu saya",
        "ya tidak bukan",
    ),
    "vietnamese": ReplyWords(
        "đoạn nguồn tài_liệu văn_bản tham_khảo trích_dẫn",
        "và hoặc",
        "xem",
        "xin chào|chào bạn|chắc chắn rồi|tất nhiên|cảm ơn|cảm ơn bạn|câu hỏi hay|trân trọng",
        "cảm ơn bạn đã|hy vọng|nếu bạn có thêm|nếu bạn còn|dưới đây|sau đây|hãy cho tôi biết",
        "có không vâng",
    ),
}  # fmt: skip
"""By the name of the language in the project file, and further ones that models answer in."""


def all_words(field: str) -> Iterable[str]:
    """Return the words of a field in all languages."""
    return (word.replace("_", " ") for language in REPLY_WORDS.values() for word in getattr(language, field).split())


def all_phrases(field: str) -> Iterable[str]:
    """Return the phrases of a field in all languages."""
    return (phrase for language in REPLY_WORDS.values() for phrase in getattr(language, field).split("|") if phrase)
