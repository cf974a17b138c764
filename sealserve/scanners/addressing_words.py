"""Words with which a text in one of twenty-one languages addresses a language model, for `prompt_injection`, in RE2 syntax.

Lower case. Latin scripts are written without accents, as the text is when it is compared. Each language has few,
general words; others are not recognised.
"""

from collections.abc import Mapping
from dataclasses import dataclass

UNSPACED = "\0"
"""For scripts that do not separate words by spaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Alternatives for each part of a sentence that addresses a model."""

    drop: str  # to ignore, to forget
    before: str  # previous, above
    orders: str  # instructions
    your_rules: str  # rules that belong to whoever is addressed
    all_above: str  # everything that stands above
    model: str  # a language model, an AI
    you_are: str
    note_to: str  # a note for, dear
    say: str  # to write or answer: only this, always that
    conceal: str  # not to tell
    user: str
    this_message: str
    whenever: str  # each time that somebody
    types: str  # writes, enters
    reply: str  # answer with, the answer is
    about: str = ""  # how a notice says which instructions it takes back: about, on, from
    for_end: str = ""  # what follows the model's name where it is addressed: "for the AI" in languages that put it last
    letters: str = ""  # of its script; "" for Latin
    is_verb_last: bool = False  # in Latin script; the verb is looked for on both sides in all others

    @property
    def is_latin(self) -> bool:
        """Whether it is compared without accents."""
        return not self.letters


WORDS: Mapping[str, Words] = {
    "en": Words(
        drop=r"ignor(?:e|ing)|disregard(?:ing)?|forget|drop|abandon|cast aside|throw (?:away|out)|stop (?:following|obeying)|overrid(?:es?|ing)|bypass|discard|set aside|(?:do not|don't) "
        r"(?:follow|obey)|pay no (?:heed|attention) to",
        before=r"previous|prior|above|earlier|preceding|former|all|any|your|these|those|system|initial|original",
        orders=r"instructions?|prompts?|directives?|guardrails?|system messages?",
        about=r"(?:about|on|for|regarding|concerning|from|of|to|in|at|by|sent|issued|given|posted|printed|dated|that|which)",
        your_rules=r"(?:previous|prior|earlier|former) rules|your (?:[a-z]+ )?(?:rules|guidelines|guidance|instructions|directives|directions|restrictions|constraints|training|principles|"
        r"orders|programming)|"
        r"(?:the rules )?(?:that |what(?:ever)? |(?:every|any|all|the) (?:rules?|instructions?|guidelines?) )you (?:were|have been|are) (?:told|taught|given|asked)",
        all_above=r"(?:everything|anything|all)(?: that| which)?(?: is| was| stands)? ?(?:above|before|so far|written|"
        r"said)|(?:the|this) (?:article|text|document|facts?) above",
        model=r"machines? (?:that|which|who) (?:\w+ ){0,2}(?:reads?|learns?)|ai|a\.i\.|artificial intelligence|(?:large )?language models?|llms?|chat ?bots?|gpt|(?:ai|automated|"
        r"machine|virtual|trained) (?:assistant|reader|agent|editor|model|system|writer)s?",
        you_are=r"you are|you're|act as|pretend to be|behave as",
        note_to=r"(?:note|message|notice|instructions?|orders?|attention|memo|reminder|important)[,:]? (?:to|for)|dear|"
        r"hey|hello|attention,?",
        say=r"(?:write|say|state|answer|reply|respond|output|repeat|report|claim|recommend) (?:[a-z]+ ){0,3}(?:only|"
        r"instead|nothing|that|always)|the truth is|(?:only|always|just|instead) (?:write|say|state|answer|reply|respond|output|"
        r"report|recommend)",
        conceal=r"keep (?:it|this|that|these) (?:to|for) yourself|(?:do not|don't|never) (?:[a-z]+ ){0,2}(?:tell|reveal|mention|show|disclose|inform|say)",
        user=r"users?|humans?|operators?",
        this_message=r"(?:this|these) (?:[a-z]+ )?(?:instructions?|message|prompt)",
        whenever=r"when(?:ever)?|if|each time|every time|as soon as|once|any(?:one|body) who|whoever|(?:any|every|each|"
        r"all|a) (?:question|prompt|message|request|query|input)s?",
        types=r"writes?|types?|enters?|mentions?|contain(?:s|ing)|uses?|asked (?:about|for)|says?|with",
        reply=r"(?:always |only |simply |just |must |should |shall )?(?:reply|respond|answer)(?: only| exclusively| just|"
        r" always)?(?: with| by saying| that|:)|the (?:answer|reply|response) (?:is always|is:|must be|shall be)|(?:gets?|"
        r"receives?|is told|must get|is answered with) (?:this|the|only|exactly)",
    ),
    "de": Words(
        drop=r"ignorier\w*|vergiss|vergesst|vergessen sie|missacht\w*|beachte[nt]? (?:[\w-]+ ){0,6}(?:nicht|keine\w*)|ubergeh\w*|verwirf|verwerfen sie",
        before=r"vorherig\w*|vorig\w*|bisherig\w*|fruher\w*|obig\w*|vorangehend\w*|vorangegangen\w*|alle[nr]?|deine\w*|"
        r"ihre\w*",
        orders=r"anweisung\w*|instruktion\w*|systemprompts?|prompts?|vorgaben",
        about=r"(?:zu[mr]?|uber|fur|auf|von|vom|in|im|an|am|aus|bezuglich|betreffend|der|des|die)",
        your_rules=r"deine\w* (?:\w+ )?(?:regeln|richtlinien|anweisungen|vorgaben|befehle)|was (?:man )?dir gesagt",
        all_above=r"alles,? was (?:oben|bisher|davor|zuvor)|alles (?:obige|bisherige|vorherige|vorige)|(?:den|der) text "
        r"oben",
        model=r"maschine,? die (?:\w+ ){0,3}(?:liest|lernt)|ki|ki-\w+|kunstliche intelligenz|(?:grosses )?sprachmodell\w*|llms?|chatbots?",
        you_are=r"du bist|sie sind|verhalte dich wie|handle als",
        note_to=r"(?:hinweis|nachricht|anweisung|notiz|achtung|wichtig),? (?:an|fur)|liebe[sr]?|hallo|an",
        say=r"(?:schreib\w*|sag\w*|antwort\w*|nenn\w*|behaupt\w*|empfiehl|empfehl\w*|gib|geben sie) (?:\w+ ){0,4}(?:nur|"
        r"immer|stets|ausschliesslich|stattdessen|dass)|(?:nur|immer|stets|ausschliesslich) (?:\w+ ){0,3}(?:schreib\w*|"
        r"sag\w*|antwort\w*|nenn\w*)|schreibe? (?:\w+ ){0,2}, dass|antworte,? dass",
        conceal=r"behalt\w* (?:\w+ ){0,3}fur (?:dich|sich)|(?:verrat\w*|erwahn\w*|sag\w*|zeig\w*|gib|geben sie|teil\w*) (?:\w+ ){0,5}(?:nicht|nichts)|verschweig\w*",
        user=r"nutzer\w*|benutzer\w*|anwender\w*|menschen",
        this_message=r"diese[rn]? (?:nachricht|anweisung\w*|hinweis\w*|botschaft|prompt)|diesen (?:hinweis|prompt)",
        whenever=r"sobald|wenn|jedes mal,? wenn|immer,? wenn|wer|jede frage",
        types=r"schreibt|eingibt|tippt|erwahnt|fragt|sagt|enthalt|vorkommt|auftaucht|steht",
        reply=r"antwort\w* (?:\w+ ){0,2}(?:nur|immer|stets|mit|ausschliesslich)|(?:nur|immer|stets) (?:mit )?antwort\w*|"
        r"(?:lautet|ist) die (?:einzige )?antwort|die antwort (?:lautet|ist) (?:immer|nur|stets|ausschliesslich)",
    ),
    "es": Words(
        drop=r"ignor(?:a|e|ad|en)|olvid(?:a|e|ad|en)|(?:haz|haga|hagas|hagan) caso omiso|no (?:haga|hagas|hagan) caso|"
        r"descart(?:a|e)|desestim(?:a|e)|no sigas|debes (?:olvidar|ignorar)",
        before=r"anteriores|anterior|previ[ao]s?|precedentes?|tod[ao]s|tus|sus|de arriba",
        orders=r"instrucciones|reglas que (?:te|se te)|indicaciones del sistema|prompts?|directrices|ordenes",
        about=r"(?:sobre|de|del|para|en|acerca|relativ[ao]s|respecto|referentes|que)",
        your_rules=r"tus (?:\w+ )?(?:reglas|directrices|instrucciones|normas|principios)|(?:las )?reglas previas",
        all_above=r"todo lo (?:anterior|dicho|escrito|que)",
        model=r"maquina que (?:lee|lees|aprende)|ia|inteligencia artificial|(?:gran )?modelo de lenguaje|modelo linguistico|llms?|chatbots?|asistentes? "
        r"(?:de ia|virtual(?:es)?|automaticos?)",
        you_are=r"eres|usted es|actua como|comportate como",
        note_to=r"(?:nota|mensaje|aviso|instruccion(?:es)?|atencion|importante),? (?:a|al|para)|estimad[oa]|querid[oa]|hola",
        say=r"(?:escrib\w+|di|diga|respond\w+|contest\w+|recomiend\w+|afirm\w+) (?:\w+ ){0,3}(?:solo|solamente|"
        r"unicamente|siempre|que)|(?:solo|siempre|unicamente) (?:escrib\w+|di|diga|respond\w+|contest\w+|recomiend\w+)",
        conceal=r"guard\w* (?:\w+ ){0,3}para (?:ti|usted)|no (?:le )?(?:revel\w+|menciones?|digas?|cuentes?|muestres?|informes?)",
        user=r"usuari[oa]s?|humanos?|operador(?:es)?",
        this_message=r"est[ea]s? (?:mensaje|instruccion(?:es)?|nota|aviso|prompt)",
        whenever=r"cada vez que|siempre que|cuando|si alguien|quien",
        types=r"escrib\w+|teclee?|mencione?|pregunt\w+|introduzca|diga|contenga|contien\w+|apare[cz]\w+|figur\w+",
        reply=r"(?:contest|respond)\w+ (?:\w+ )?(?:solo|solamente|unicamente|siempre|con|exclusivamente)|la respuesta es|"
        r"(?:solo|siempre) (?:contest|respond)\w+",
    ),
    "fr": Words(
        drop=r"ignor(?:e|ez|er)|oubli(?:e|ez|er)|ne ti(?:ens|ens|enez) (?:pas|aucun) compte|negligez?|passe[rz]? outre|ne "
        r"sui[sv]\w* (?:pas|plus)",
        before=r"precedente?s?|anterieure?s?|ci-dessus|tou(?:te)?s|tes|vos",
        orders=r"instructions?|consignes?|prompts?|directives?",
        about=r"(?:sur|de|du|des|pour|dans|concernant|relatives?|affiche\w*|au|aux|qui)",
        your_rules=r"tes (?:\w+ )?(?:regles|consignes|instructions|directives|principes)|vos (?:regles|consignes) "
        r"anterieures",
        all_above=r"tout ce qui (?:precede|est ecrit|se trouve)|tout ce que|le texte ci-dessus",
        model=r"machine qui (?:lis|lit|lisez|apprends?)|ia|l'ia|intelligence artificielle|(?:grand )?modele de langage?|modele linguistique|llms?|chatbots?|"
        r"assistants? (?:ia|virtuels?|automatiques?)",
        you_are=r"tu es|vous etes|agis comme|comporte-toi comme",
        note_to=r"(?:note|message|avis|instructions?|attention|important),? (?:a|au|pour|destinee? a)|a l'attention de|cher|"
        r"chere|bonjour",
        say=r"(?:tu|vous) (?:diras|direz|repondras|repondrez|recommanderas|recommanderez|conseilleras)|(?:ecri[svr]\w*|dis|dites|repond\w*|affirme\w*|recommande\w*|cite\w*) (?:\S+ ){0,4}(?:seulement|uniquement|"
        r"toujours|que)|(?:seulement|uniquement|toujours) (?:ecri[svr]\w*|dis|dites|repond\w*|recommande\w*|cite\w*)",
        conceal=r"(?:garde\w*|conserve\w*) (?:\S+ ){0,2}pour (?:toi|vous)|ne (?:le |lui )?(?:revele\w*|dis|dites|mentionne\w*|montre\w*|parle\w*|communique\w*) (?:pas|rien)",
        user=r"l'utilisateur|(?:aux |des |les )?utilisateurs|humains?|l'operateur",
        this_message=r"(?:ce|cet|cette|ces) (?:message|instructions?|consignes?|note|prompt)",
        whenever=r"chaque fois que?|des que|quand|lorsque?|si quelqu'un|quiconque",
        types=r"ecrit|tape|saisit|mentionne|demande|dit|contient|apparait|figure|comporte",
        reply=r"repond\w* (?:\S+ )?(?:seulement|uniquement|toujours|par|avec|exclusivement)|la reponse est|"
        r"(?:toujours|seulement) repond\w*",
    ),
    "it": Words(
        drop=r"ignor(?:a|i|ate|are)|dimentic(?:a|hi|ate)|trascur(?:a|ate)|non (?:seguire|tenere conto|tener conto)|scart(?:a|"
        r"ate)",
        before=r"precedent[ei]|anterior[ei]|sopra|tutt[ei]|tue|tuoi|vostre",
        orders=r"istruzioni|indicazioni di sistema|prompt|direttive",
        about=r"(?:su|sul|sulla|sulle|di|del|della|per|in|nel|riguardanti|relative|affisse|che)",
        your_rules=r"(?:le )?tue (?:\w+ )?(?:regole|istruzioni|direttive|linee guida)|(?:regole|istruzioni) che (?:ti sono state|hai)",
        all_above=r"tutto (?:cio|quello|quanto)|il testo sopra|il resto del documento",
        model=r"ia|l'ia|intelligenza artificiale|(?:grande )?modello linguistico|modello di linguaggio|llm|chatbot|"
        r"assistent[ei] (?:ia|virtual[ei]|automatic[oi])",
        you_are=r"sei|siete|agisci come|comportati come",
        note_to=r"(?:nota|messaggio|avviso|istruzion[ei]|attenzione|importante),? (?:a|al|all'|per|per l'|per il)|caro|cara|"
        r"ciao|gentile",
        say=r"(?:scriv\w+|di|dite|rispond\w+|afferm\w+|consigli\w+|raccomand\w+) (?:\w+ ){0,3}(?:solo|soltanto|solamente|"
        r"sempre|che)|(?:solo|sempre) (?:scriv\w+|rispond\w+|consigli\w+)",
        conceal=r"non (?:rivelare|rivelate|menzionare|dire|dite|mostrare|comunicare|parlare)",
        user=r"l'utente|all'utente|(?:gli |agli )?utenti|umani|operatore",
        this_message=r"quest[oae] (?:messaggio|istruzion[ei]|nota|avviso|prompt)",
        whenever=r"ogni volta che|quando|se qualcuno|chiunque|non appena",
        types=r"scriv\w+|digit\w+|menzion\w+|chied\w+|inserisc\w+|dic\w+|contiene|compar\w+|appar\w+",
        reply=r"rispond\w+ (?:\w+ )?(?:solo|soltanto|sempre|con|esclusivamente)|la risposta e|(?:solo|sempre) rispond\w+",
    ),
    "pt": Words(
        drop=r"ignor(?:e|em|a|ar)|esquec(?:a|am|er)|desconsider(?:e|em|a)|descart(?:e|em)|nao (?:siga|sigas|leve em conta)",
        before=r"anteriores|anterior|previ[ao]s|acima|tod[ao]s|suas|seus|tuas",
        orders=r"instrucoes|prompts?|diretrizes|comandos",
        about=r"(?:sobre|de|do|da|para|em|no|na|relativas|referentes|que)",
        your_rules=r"(?:as )?(?:suas|tuas) (?:\w+ )?(?:regras|instrucoes|diretrizes|normas)|(?:os )?seus principios",
        all_above=r"tudo (?:o que|que|isso)|o texto acima",
        model=r"ia|inteligencia artificial|(?:grande )?modelo de linguagem|llms?|chatbots?|assistentes? (?:de ia|virtua(?:l|is)|"
        r"automaticos?)",
        you_are=r"voce e|tu es|aja como|comporte-se como",
        note_to=r"(?:nota|mensagem|aviso|instruc(?:ao|oes)|atencao|importante),? (?:a|ao|para|para o)|car[oa]|prezad[oa]|ola",
        say=r"(?:escrev\w+|diga|dize|respond\w+|afirm\w+|recomend\w+) (?:\w+ ){0,3}(?:apenas|so|somente|sempre|que)|"
        r"(?:apenas|somente|sempre) (?:escrev\w+|diga|respond\w+|recomend\w+)",
        conceal=r"nao (?:revele|mencione|diga|conte|mostre|informe|comunique)",
        user=r"(?:ao |aos |o |os )?usuarios?|(?:ao |aos )?utilizador(?:es)?|humanos?|operador",
        this_message=r"est[ea]s? (?:mensagem|instruc(?:ao|oes)|nota|aviso|prompt)",
        whenever=r"sempre que|cada vez que|toda vez que|quando|se alguem|quem",
        types=r"escrev\w+|digit\w+|mencion\w+|pergunt\w+|inser\w+|disser|contenha|contiver|contem|aparec\w+",
        reply=r"respond\w+ (?:\w+ )?(?:apenas|so|somente|sempre|com|exclusivamente)|a resposta e|(?:apenas|sempre) respond\w+",
    ),
    "ru": Words(
        drop=r"игнорируй(?:те)?|забудь(?:те)?|не учитывай(?:те)?|не обращай(?:те)? внимания на|отбрось(?:те)?|пренебреги(?:те)?"
        r"|не следуй(?:те)?|не выполняй(?:те)?",
        before=r"предыдущ[а-яё]*|прежн[а-яё]*|предшествующ[а-яё]*|все|всех|свои[а-яё]*|сво[ию]|выше[а-яё]*|прошл[а-яё]*",
        orders=r"инструкци[а-яё]*|указани[а-яё]*|промпт[а-яё]*|директив[а-яё]*|предписани[а-яё]*",
        about=r"(?: об? | про | от | для | на | по |касающ|относительно)",
        your_rules=r"(?:свои|твои|ваши) (?:[а-яё]+ )?(?:правила|инструкции|указания|установки)",
        all_above=r"вс[её],? что (?:написано|сказано|было|выше|стоит)|вс[её] (?:вышесказанное|предыдущее)",
        model=r"ии[ ,:.;!-]|искусственн[а-яё]+ интеллект[а-яё]*|языков[а-яё]+ модел[а-яё]+|чат-?бот[а-яё]*|llm|нейросет[а-яё]+|"
        r"(?:виртуальн[а-яё]+|ии-?) ?(?:помощник|ассистент)[а-яё]*",
        you_are=r"ты|вы —|вы теперь|веди себя как|действуй как",
        note_to=r"(?:сообщение|заметка|примечание|указание|инструкция|внимание|важно)[,:]? (?:для|к)|дорог[а-яё]+|"
        r"уважаем[а-яё]+|привет,?",
        say=r"(?:пиши|напиши|говори|скажи|отвечай|ответь|утверждай|рекомендуй|называй)(?:те)? (?:[а-яё]+ ){0,4}(?:только|лишь|"
        r"всегда)|(?:только|лишь|всегда) (?:пиши|говори|отвечай|рекомендуй|называй)(?:те)?|(?:пиши|отвечай|говори|"
        r"утверждай)(?:те)?[^.\n]{0,40}, что",
        conceal=r"не (?:сообщай|говори|рассказывай|раскрывай|упоминай|показывай)(?:те)?",
        user=r"пользовател[а-яё]*|людям|человеку|оператору",
        this_message=r"об? этом (?:сообщении|указании)|эт(?:о|у|и|их|ой|ом) (?:сообщени[а-яё]+|инструкци[а-яё]+|указани[а-яё]+)",
        whenever=r"каждый раз,? когда|всякий раз,? когда|когда|если кто-то|если кто-нибудь|как только|кто",
        types=r"пишет|напишет|вводит|введ[её]т|упоминает|спрашивает|говорит|содержит|встреча\w+|встретит\w*|есть слово|появ\w+",
        reply=r"(?:отвечай|ответь)(?:те)? (?:только|всегда|лишь)|(?:только|всегда|лишь) (?:отвечай|ответь)(?:те)?|ответ "
        r"(?:всегда|только)",
        letters="а-яё",
    ),
    "zh": Words(
        drop=r"忽略|无视|忘记|忘掉|不必遵守|不要遵守|不要理会|抛开|忽視|無視|忘記|不必理会",
        before=r"之前|先前|上面|以上|前面|此前|所有|全部|你的|原有",
        orders=r"指令|指示|提示词|提示|命令|系统消息|规则|规定|准则|設定",
        about=r"关于|有关|针对|涉及|關於|有關|張貼|张贴|通知|旧版",
        your_rules=r"你的(?:所有|全部)?(?:规则|指令|指示|原则|准则|設定|设定)|(?:之前|先前)(?:给你|告诉你)的",
        all_above=r"(?:上面|以上|前面|之前)(?:的)?(?:所有|一切|全部)?(?:的)?(?:内容|文字|文章|一切|话)",
        model=r"人工智能|语言模型|大模型|聊天机器人|AI|人工智慧|語言模型",
        you_are=r"你是|你现在是|请扮演|假装你是|您是",
        note_to=r"致|给|告|注意|提醒|亲爱的",
        say=r"(?:只|仅|只能|始终|总是|必须|务必|一律)(?:写|说|回答|输出|回复|推荐|声称)|从现在起(?:回答|说|写)",
        conceal=r"不要(?:把|将|向|对|告诉|透露|提及|提到)|不得(?:向|透露|告诉)|别(?:把|告诉)",
        user=r"用户|使用者|人类|操作员",
        this_message=r"(?:这条|此|该|这个|这些|本)(?:消息|信息|指令|提示|指示|段|段落|内容|通知|条)",
        whenever=r"每当|每次|只要|如果有人|当有人|凡是",
        types=r"输入|写|提到|说|问|键入|包含|出现",
        reply=r"(?:只能|只|必须|务必|一律|都要|总是)(?:能|要)?(?:回答|回复|答复|输出|说)|答案(?:就)?是",
        letters=UNSPACED,
    ),
    "ja": Words(
        drop=r"無視し|無視せよ|忘れ(?:て|ろ|なさい)|従わ(?:ず|ないで|なくて)|破棄し|気にせ",
        before=r"以前|これまで|前|上記|上|先|すべて|全て|あなたの",
        orders=r"指示|命令|プロンプト|指令|システムメッセージ|規則|ルール",
        about=r"に関する|についての|に関して|に貼|からの|掲示",
        your_rules=r"あなたの(?:ルール|規則|指示|原則|方針|設定)",
        all_above=r"(?:上|上記|以上|前|これまで)(?:に|の|まで)?(?:書かれた|述べた|言われた)?(?:の|こと|内容|文章)(?:は|を)?(?:すべて|全て|全部)?",
        model=r"AI|人工知能|言語モデル|チャットボット|エーアイ|LLM",
        you_are=r"あなたは|君は|お前は|あなたが",
        note_to=r"注意|連絡|メモ|お知らせ|親愛なる",
        say=r"(?:と)?だけ(?:書|答|言|出力)|(?:常に|必ず|いつも)[^。\n]{0,30}?(?:書|答え|言|勧め|出力|推奨)|今後は[^。\n]{0,40}?と(?:答え|書|言)",
        conceal=r"(?:伝え|知らせ|教え|明かさ|見せ|話さ)(?:ず|ないで|てはいけ|るな)",
        user=r"ユーザー|利用者|人間|使用者",
        this_message=r"この(?:メッセージ|指示|命令|文|プロンプト|こと)",
        whenever=r"誰かが|もし|たびに|場合|ときは|たら",
        types=r"入力|書いた|書き|書く|尋ね|言った|言っ|打|含ま|含む",
        reply=r"(?:と)?だけ(?:答え|返|回答|出力)|(?:必ず|常に)[^。\n]{0,40}?(?:答え|返|回答|出力)",
        for_end="へ|に告ぐ",
        letters=UNSPACED,
    ),
    "ko": Words(
        drop=r"무시하|무시해|잊(?:고|어|으)|따르지 (?:말|마)|지키지 (?:말|마)|버리",
        before=r"이전|앞선|앞의|위의|지금까지|모든|기존",
        orders=r"지시|지침|명령|프롬프트|시스템 메시지|규칙",
        about=r"에 관한|에 대한|관련|에 붙은|에 적힌|안내문",
        your_rules=r"(?:당신의|너의|네) (?:규칙|지침|지시|원칙)",
        all_above=r"(?:위의?|앞의?|지금까지) ?(?:내용|글|말|모든)[가-힣]*(?: 모두| 전부)?",
        model=r"AI|인공지능|언어 ?모델|챗봇|에이아이",
        you_are=r"당신은|당신이|너는|네가|넌|귀하는",
        note_to=r"알림|메모|주의|친애하는",
        say=r"(?:다고|라고|이라고)만 (?:쓰|쓰세|답|말|대답)|(?:항상|반드시|오직|언제나)[^.\n]{0,40}?(?:쓰|답|말하|추천|출력)|이제부터[^.\n]{0,40}?(?:답하|말하|쓰)",
        conceal=r"(?:알리지|말하지|밝히지|보여주지|언급하지) (?:말|마)",
        user=r"사용자|이용자|인간|사람들",
        this_message=r"이 (?:메시지|지시|글|프롬프트|명령)",
        whenever=r"누군가|누가|때마다|만약|면",
        types=r"입력|쓰면|쓸|적|묻|말하|포함|들어|나오",
        reply=r"(?:라고|다고)만 (?:답|대답|말)|(?:반드시|항상|오직)[^.\n]{0,40}?(?:답|대답)",
        for_end="에게|께",
        letters=UNSPACED,
    ),
    "ar": Words(
        drop=r"تجاهل[ء-ْ]*|انس[َى]?|إنس|انسوا|لا تلتزم|لا تتبع|لا تتقيد|أهمل|اهمل",
        before=r"السابقة|السابق|أعلاه|الماضية|كل|جميع|قواعدك|السالفة",
        orders=r"التعليمات|تعليمات|الأوامر|الاوامر|التوجيهات|تعليماتك|توجيهاتك",
        about=r"الخاصة ب|الخاص ب|المتعلقة|بشأن|حول|بخصوص|الصادرة|الموجودة|المعلقة",
        your_rules=r"ب?قواعدك|ب?تعليماتك|ب?توجيهاتك|ب?مبادئك",
        all_above=r"كل ما (?:ورد|سبق|كتب|قيل|ذكر)|جميع ما (?:ورد|سبق)|النص أعلاه",
        model=r"الذكاء الاصطناعي|ذكاء اصطناعي|نموذج[اً]* لغوي[اً]*|النموذج اللغوي|المساعد الذكي|روبوت محادثة|روبوت الدردشة",
        you_are=r"أنت|انت|كنت|تصرف ك[ء-ْ]*|أنت الآن",
        note_to=r"إلى|الى|ملاحظة|رسالة|تنبيه|عزيزي|أيها",
        say=r"(?:اكتب|قل|أجب|اجب|أوص[ِ]?|اذكر|أكد)[^.\n]{0,30}? (?:فقط|دائم[ء-ْ]*|أن|إن|بأن)|من الآن فصاعد[ء-ْ]* (?:أجب|قل|اكتب)",
        conceal=r"لا (?:تخبر|تكشف|تذكر|تقل|تظهر|تبلغ)",
        user=r"المستخدم[ء-ْ]*|البشر(?:[^ء-ْ]|$)|المشغل",
        this_message=r"ب?هذه (?:الرسالة|التعليمات|الأوامر)|هذا (?:النص|التوجيه)",
        whenever=r"كلما|عندما|إذا|اذا|من",
        types=r"كتب|يكتب|أدخل|يدخل|ذكر|سأل|قال|يحتوي|احتوى|ورد|تضمن",
        reply=r"(?:أجب|اجب|أجيبوا|قل) (?:فقط|دائم[ء-ْ]*|ب[ء-ْ]*)|(?:الجواب|الإجابة) (?:هو|هي|دائم[ء-ْ]*)",
        letters="ء-ْ",
    ),
    "hi": Words(
        drop=r"अनदेखा|अनदेखी|भूल जा[ओएइ]|भूल जाइए|नज़रअंदाज़|नजरअंदाज|उपेक्षा",
        before=r"पिछल[ेीा]|पहले|ऊपर|सभी|सारे|अपन[ेी]",
        orders=r"निर्देश[ऀ-ॿ]*|आदेश[ऀ-ॿ]*|प्रॉम्प्ट",
        about=r"के बारे में|से संबंधित|संबंधी|से जुड़े|पर लगे|पर लिखे|वाले",
        your_rules=r"अपने (?:नियम|निर्देश|सिद्धांत)[ऀ-ॿ]*",
        all_above=r"ऊपर (?:लिखी|लिखा|कही|दी गई)[^।\n]{0,20}?(?:बात|कुछ|सब|चीज़)|सब कुछ",
        model=r"एआई|कृत्रिम बुद्धिमत्ता|भाषा मॉडल|चैटबॉट|AI",
        you_are=r"तुम|आप एक|तू",
        note_to=r"सूचना|संदेश|ध्यान दें|प्रिय",
        say=r"(?:केवल|सिर्फ|सिर्फ़|हमेशा)[^।\n]{0,40}?(?:लिखो|लिखें|कहो|कहें|बताओ|जवाब|सिफारिश)|अब से जवाब",
        conceal=r"(?:मत|नहीं) (?:बता[ऀ-ॿ]*|कह[ऀ-ॿ]*|दिखा[ऀ-ॿ]*)",
        user=r"उपयोगकर्ता[ऀ-ॿ]*|यूज़र|लोगों",
        this_message=r"(?:यह|इस|इन) (?:संदेश|निर्देश|सूचना)",
        whenever=r"जब भी|जब कोई|अगर कोई|हर बार",
        types=r"लिखे|लिखता|टाइप|पूछे|कहे|दर्ज|शामिल|आए",
        reply=r"(?:सिर्फ|सिर्फ़|केवल|हमेशा)[^।\n]{0,60}?जवाब|जवाब (?:हमेशा|केवल)",
        for_end="के लिए|को",
        letters="ऀ-ॿ",
    ),
    "nl": Words(
        drop=r"negeer|negeert|vergeet|laat (?:\w+ ){0,4}buiten beschouwing|houd je niet aan|schuif (?:\w+ ){0,4}opzij",
        before=r"vorige|eerdere|voorgaande|bovenstaande|alle|je|jouw|uw",
        orders=r"instructies?|opdrachten|aanwijzingen|richtlijnen|prompts?|voorschriften",
        about=r"(?:over|op|voor|van|uit|in|aan|met|bij|die)",
        your_rules=r"(?:je|jouw|uw) (?:\w+ )?(?:regels|instructies|richtlijnen|opdrachten)|wat (?:je|u) (?:is|werd) (?:verteld|opgedragen)",
        all_above=r"alles (?:wat )?(?:hierboven|hiervoor|eerder|tot nu toe)|de tekst hierboven",
        model=r"ai|ai-\w+|kunstmatige intelligentie|(?:groot )?taalmodel\w*|llms?|chatbots?",
        you_are=r"je bent|jij bent|u bent|gedraag je als",
        note_to=r"(?:bericht|opmerking|notitie|instructie|let op|belangrijk),? (?:aan|voor)|beste|hallo|aan",
        say=r"(?:schrijf|zeg|antwoord|noem|beweer|vertel) (?:\w+ ){0,4}(?:alleen|altijd|uitsluitend|dat)|(?:altijd|alleen|voortaan) (?:\w+ ){0,3}(?:antwoord|zeg|noem)\w*",
        conceal=r"(?:vertel|zeg|noem|onthul|toon) (?:\w+ ){0,4}(?:niet|niets|nooit)",
        user=r"gebruikers?|mensen|klanten",
        this_message=r"dit bericht|deze (?:instructies?|opdracht|opmerking)|deze prompt",
        whenever=r"zodra|wanneer|telkens als|elke vraag|als iemand",
        types=r"schrijft|typt|noemt|vraagt|zegt|bevat|voorkomt|staat",
        reply=r"antwoord (?:\w+ )?(?:alleen|altijd|met|uitsluitend)|(?:alleen|altijd) antwoord\w*|het antwoord is (?:altijd|alleen)",
    ),
    "pl": Words(
        drop=r"z?ignoruj(?:cie)?|zapomnij(?:cie)?|pomin(?:cie)?|odrzuc(?:cie)?|nie (?:przestrzegaj|stosuj sie do|zwazaj na)",
        before=r"poprzedni\w*|wczesniejsz\w*|powyzsz\w*|dotychczasow\w*|wszystki\w*|swoi\w*|twoi\w*",
        orders=r"polece\w*|instrukcj\w*|wskazow\w*|wytyczn\w*|prompt\w*|nakaz\w*",
        about=r"(?:o|w|na|z|ze|dla|dotycza\w*|od|przy|umieszczon\w*)",
        your_rules=r"(?:swoi\w*|twoi\w*|swoje|twoje) (?:\w+ )?(?:zasad\w*|regul\w*|instrukcj\w*|wytyczn\w*|polece\w*)",
        all_above=r"wszystko,? co (?:\w+ )?(?:powyzej|wyzej|napisan\w*|dotad)|caly tekst powyzej",
        model=r"ai|sztuczn\w+ inteligencj\w*|model\w* jezykow\w*|llm|chatbot\w*|czatbot\w*",
        you_are=r"jestes|dzialaj jako|zachowuj sie jak",
        note_to=r"(?:uwaga|wiadomosc|notatka|informacja|polecenie),? (?:do|dla)|drogi|droga|do|hej",
        say=r"(?:pisz|napisz|mow|powiedz|odpowiadaj|odpowiedz|polecaj|twierdz) (?:\w+ ){0,4}(?:tylko|zawsze|wylacznie|ze)|(?:zawsze|tylko) (?:\w+ ){0,2}(?:odpowiadaj|mow|pisz|polecaj)",
        conceal=r"nie (?:mow|zdradzaj|ujawniaj|wspominaj|pokazuj|informuj)",
        user=r"uzytkowni\w*|ludzi\w*|klient\w*",
        this_message=r"t(?:ej|a|e) (?:wiadomosci|wiadomosc|instrukcji|instrukcje|notatki)|tego (?:polecenia|komunikatu)",
        whenever=r"gdy|kiedy|jesli|za kazdym razem,? gdy|kazde pytanie",
        types=r"pisze|napisze|wpisze|wspomni|zapyta|pyta|powie|zawiera|pojawi|wystapi|wystepuje",
        reply=r"(?:odpowiadaj|odpowiedz) (?:\w+ )?(?:tylko|zawsze|wylacznie)|(?:zawsze|tylko) odpowiadaj|odpowiedz brzmi",
    ),
    "tr": Words(
        drop=r"unut(?:un|unuz)?|yok say(?:in|iniz)?|gormezden gel(?:in|iniz)?|dikkate alma(?:yin|yiniz)?|goz ardi (?:et|edin|ediniz)",
        before=r"onceki|yukaridaki|butun|tum|simdiye kadarki|sana verilen",
        orders=r"talimat\w*|komut\w*|yonerge\w*|prompt\w*",
        about=r"hakkinda\w*|ile ilgili|uzerindeki|(?:duyuru|ilan|pano|kilavuz|mektu[bp]|brosur|afis|tabela|form|levha|etiket)\w*"
        r"[dt][ae]ki",
        your_rules=r"sana verilen \w+|senin kurallarin\w*|sana soylenen\w*",
        all_above=r"yukaridaki her sey\w*|yukarida (?:yazan|yazilan)\w*",
        model=r"yapay zeka\w*|(?:buyuk )?dil modeli\w*|sohbet robotu\w*|chatbot\w*|llm",
        you_are=r"sen|sen artik|sen bir",
        note_to=r"(?:not|mesaj|uyari|dikkat|onemli)|sayin|sevgili|merhaba|ey",
        say=r"(?:sadece|yalnizca|her zaman|daima|hep)[^.\n]{0,60}?(?:yaz|soyle|cevap ver|yanit ver|oner)|(?:oldugunu|diye|gerektigini) (?:soyle|yaz|cevapla|yanitla)",
        conceal=r"(?:soyleme|bahsetme|gosterme|belirtme|bildirme)",
        user=r"kullanici\w*|insanlar\w*|musteri\w*",
        this_message=r"bu (?:mesaj\w*|talimat\w*|not\w*|komut\w*)",
        whenever=r"her seferinde|ne zaman|eger|biri",
        types=r"yazarsa|yazdiginda|sorarsa|sordugunda|gecerse|derse|iceriyorsa|varsa",
        reply=r"(?:sadece|yalnizca|her zaman|daima) [^.\n]{0,40}?(?:cevap|yanit)\w*|(?:cevap|yanit) (?:her zaman|daima|sadece)",
        for_end="ysan|ysaniz|iysen|iyseniz|ysen",
        is_verb_last=True,
    ),
    "vi": Words(
        drop=r"bo qua|phot lo|quen|khong tuan theo|mac ke",
        before=r"truoc(?: do)?|o tren|tat ca|moi|cua ban",
        orders=r"huong dan|chi dan|menh lenh|chi thi|cau lenh",
        about=r"(?:ve|tren|cho|tai|trong)",
        your_rules=r"(?:quy tac|huong dan|chi thi) cua ban",
        all_above=r"moi thu (?:o )?tren|noi dung (?:o )?tren",
        model=r"ai|tri tue nhan tao|mo hinh ngon ngu|chatbot|tro ly (?:ao|ai)",
        you_are=r"ban la|hay dong vai",
        note_to=r"(?:luu y|thong bao|ghi chu|tin nhan|chu y)(?: danh)? (?:cho|toi|den)|gui|kinh gui",
        say=r"(?:luon|chi) (?:luon |duoc )?(?:tra loi|noi|viet)|(?:tra loi|noi|viet) (?:[a-z]+ ){0,3}(?:rang|luon)",
        conceal=r"(?:dung|khong) (?:noi|tiet lo|de cap|cho biet)",
        user=r"nguoi dung|khach hang|con nguoi",
        this_message=r"(?:tin nhan|thong bao|chi dan|lenh) nay",
        whenever=r"moi khi|khi|neu|bat cu khi",
        types=r"viet|nhap|hoi|noi|nhac|chua|xuat hien",
        reply=r"(?:luon|chi) (?:luon )?tra loi|cau tra loi luon",
    ),
    "id": Words(
        drop=r"abaikan|lupakan|jangan (?:ikuti|patuhi|hiraukan)|kesampingkan",
        before=r"sebelumnya|terdahulu|di atas|semua|seluruh|anda|kamu",
        orders=r"instruksi\w*|perintah\w*|petunjuk\w*|arahan\w*|prompt",
        about=r"(?:tentang|mengenai|di papan|pada|untuk|dari|soal|yang)",
        your_rules=r"(?:aturan|instruksi|pedoman)(?:mu| anda| kamu)",
        all_above=r"semua yang (?:di atas|tertulis)|teks di atas",
        model=r"ai|kecerdasan buatan|model bahasa|chatbot|llm",
        you_are=r"kamu adalah|anda adalah|bertindaklah sebagai",
        note_to=r"(?:catatan|pesan|perhatian|pemberitahuan|penting),? (?:untuk|kepada|bagi)|kepada|untuk|wahai",
        say=r"(?:selalu|hanya) (?:jawab|katakan|tulis)\w*|(?:jawab|katakan|tulis)\w* (?:\w+ ){0,3}(?:bahwa|selalu|hanya)",
        conceal=r"jangan (?:beri ?tahu|katakan|ungkapkan|sebutkan|tampilkan)\w*",
        user=r"pengguna|manusia|pelanggan",
        this_message=r"(?:pesan|instruksi|catatan|perintah) ini",
        whenever=r"setiap kali|jika|kalau|apabila|ketika",
        types=r"menulis|mengetik|bertanya|menyebut|mengatakan|mengandung|memuat|muncul",
        reply=r"(?:selalu|hanya) (?:jawab|balas)\w*|jawab\w* (?:selalu|hanya)",
    ),
    "uk": Words(
        drop=r"(?:про)?ігноруй(?:те)?|забудь(?:те)?|не зважай(?:те)? на|не враховуй(?:те)?|відкинь(?:те)?|не виконуй(?:те)?",
        before=r"попередн[а-яіїє]*|колишн[а-яіїє]*|вс[іе]х?|сво[їє]х?|вище|минул[а-яіїє]*",
        orders=r"інструкці[а-яіїє]*|вказівк[а-яіїє]*|вказівок|промпт[а-яіїє]*|директив[а-яіїє]*|настанов[а-яіїє]*",
        about=r" про | щодо | від | для | на | стосовно ",
        your_rules=r"(?:свої|твої|ваші) (?:[а-яіїє]+ )?(?:правила|інструкції|вказівки|настанови)",
        all_above=r"все,? що (?:написано|сказано|було|вище)|все вищесказане",
        model=r"ші[ ,:.;!-]|штучн[а-яіїє]+ інтелект[а-яіїє]*|мовн[а-яіїє]+ модел[а-яіїє]+|нейромереж[а-яіїє]+|чат-?бот[а-яіїє]*|llm",
        you_are=r"ти|ви тепер|поводься як",
        note_to=r"(?:повідомлення|примітка|увага|вказівка|важливо)[,:]? (?:для|до)|шановн[а-яіїє]+|для|до",
        say=r"(?:пиши|напиши|кажи|скажи|відповідай|стверджуй|рекомендуй)(?:те)? (?:[а-яіїє]+ ){0,4}(?:тільки|лише|завжди)|(?:тільки|лише|завжди) (?:пиши|кажи|відповідай)(?:те)?|(?:пиши|відповідай|кажи)(?:те)?[^.\n]{0,40}, що",
        conceal=r"не (?:кажи|розповідай|розкривай|згадуй|показуй|повідомляй)(?:те)?",
        user=r"користувач[а-яіїє]*|людям|людині|клієнт[а-яіїє]*",
        this_message=r"(?:це|цю|цього|ці) (?:повідомлення|інструкці[а-яіїє]+|вказівк[а-яіїє]+)",
        whenever=r"щоразу,? коли|коли|якщо хтось|щойно",
        types=r"пише|напише|вводить|введе|згадує|питає|каже|містить|зустріча\w+|є слово|з'явля\w+",
        reply=r"відповідай(?:те)? (?:тільки|завжди|лише)|(?:тільки|завжди|лише) відповідай(?:те)?|відповідь (?:завжди|тільки)",
        letters="а-яіїєґ",
    ),
    "fa": Words(
        drop=r"نادیده بگیر(?:ید)?|فراموش کن(?:ید)?|بی‌?توجهی کن|رعایت نکن(?:ید)?|کنار بگذار(?:ید)?",
        before=r"قبلی|پیشین|بالا|همه|تمام|سابق",
        orders=r"دستور[ء-ۿ‌]*|راهنمایی[ء-ۿ‌]*|فرمان[ء-ۿ‌]*",
        about=r"درباره|مربوط به|در مورد|راجع به|روی تابلو",
        your_rules=r"(?:قوانین|دستورات|دستورهای|قواعد) (?:خودت|خود|تو)",
        all_above=r"همه چیز(?:هایی)? که|متن بالا",
        model=r"هوش مصنوعی|مدل زبانی|چت‌?بات",
        you_are=r"تو|شما یک",
        note_to=r"به|خطاب به|پیام به|توجه",
        say=r"(?:همیشه|فقط|تنها)[^.\n]{0,40}?(?:بگو|بنویس|پاسخ|جواب)|(?:بگو|بنویس|پاسخ بده)[^.\n]{0,20}? که",
        conceal=r"نگو|فاش نکن|اشاره نکن|نشان نده",
        user=r"کاربر[ء-ۿ‌]*|انسان[ء-ۿ‌]*|مشتری[ء-ۿ‌]*",
        this_message=r"این (?:پیام|دستور|متن)",
        whenever=r"هر وقت|هرگاه|هر بار|اگر|وقتی",
        types=r"نوشت|بنویسد|پرسید|بپرسد|گفت|حاوی|شامل",
        reply=r"(?:فقط|همیشه)[^.\n]{0,40}?(?:پاسخ|جواب)|(?:پاسخ|جواب) (?:همیشه|فقط)",
        letters="ء-ۿ",
    ),
    "he": Words(
        drop=r"[וש]?(?:התעלם|התעלמי|התעלמו|שכח|שכחי|שכחו|תשכח|תשכחו|תתעלם|אל תציית|אל תפעל לפי|בטל)",
        before=r"הקודמ(?:ות|ים|ת)|שקיבלת|שניתנו לך|לעיל|[מהל]?כל",
        orders=r"[מלבו]?ה?(?:הוראות|הנחיות|פקודות|הנחיה)(?:יך)?",
        about=r"בנושא|בעניין|לגבי|שעל|של ה|בדבר",
        your_rules=r"[מל]?(?:ההוראות|ההנחיות|הכללים) (?:שלך|שקיבלת)|[מל]?הוראותיך",
        all_above=r"[מלא]?כל מה ש(?:נאמר|נכתב|כתוב)|הכתוב לעיל",
        model=r"ה?בינה ה?מלאכותית|מודל ה?שפה|צ'?אטבוט",
        you_are=r"אתה|את",
        note_to=r"הודעה ל|הערה ל|שים לב,?|הוראה ל|אל|ל",
        say=r"(?:ענה|אמור|כתוב|השב|המלץ)[^.\n]{0,30}? (?:תמיד|רק|ש)|(?:תמיד|רק) (?:ענה|אמור|כתוב|השב)",
        conceal=r"(?:אל|לא) (?:תספר|תגלה|תזכיר|תגיד|תאמר)",
        user=r"[לה]?משתמש(?:ים)?|[לה]?לקוח(?:ות)?",
        this_message=r"ה?(?:הודעה|הוראה|הנחיה) ה?ז[או]ת?",
        whenever=r"בכל פעם|כאשר|אם|כש",
        types=r"כותב|יכתוב|שואל|ישאל|מזכיר|אומר|מכיל|מופיע",
        reply=r"(?:ענה|השב)[^.\n]{0,20}?(?:רק|תמיד)|התשובה תמיד",
        letters="א-ת",
    ),
    "th": Words(
        drop=r"ละเว้น|เพิกเฉย|ลืม|ไม่ต้องสนใจ|อย่าสนใจ|ไม่ต้องทำตาม|มองข้าม",
        before=r"ก่อนหน้า|ทั้งหมด|ข้างต้น|เดิม|ที่ได้รับ|ของคุณ",
        orders=r"คำสั่ง|คำแนะนำ|พรอมต์|ข้อกำหนด|แนวทาง",
        about=r"เรื่อง|เกี่ยวกับ|บนป้าย|บนกระดาน|ในคู่มือ",
        your_rules=r"(?:กฎ|คำสั่ง|แนวทาง)ของ(?:คุณ|เจ้า|เธอ)",
        all_above=r"ทุกอย่าง(?:ข้างต้น|ก่อนหน้า)|ข้อความข้างต้น",
        model=r"ปัญญาประดิษฐ์|เอไอ|โมเดลภาษา|แบบจำลองภาษา|แชตบอต|แชทบอท|AI",
        you_are=r"คุณคือ|คุณเป็น|เธอคือ|เธอเป็น|จงทำตัวเป็น",
        note_to=r"ถึง|เรียน|หมายเหตุถึง|ข้อความถึง",
        say=r"(?:ตอบ|พูด|เขียน|บอก)[^\n]{0,30}?(?:เสมอ|เท่านั้น|ว่า)|จง(?:ตอบ|พูด|เขียน|บอก)",
        conceal=r"(?:ห้าม|อย่า|ไม่ต้อง)(?:บอก|เปิดเผย|พูดถึง|แสดง)",
        user=r"ผู้ใช้|มนุษย์|ลูกค้า",
        this_message=r"(?:ข้อความ|คำสั่ง|บันทึก)นี้",
        whenever=r"เมื่อใดก็ตาม|ทุกครั้งที่|เมื่อ|ถ้า|หาก",
        types=r"พิมพ์|เขียน|ถาม|พูด|เอ่ย|มีคำ|ปรากฏ",
        reply=r"ตอบ[^\n]{0,20}?(?:เสมอ|เท่านั้น)|คำตอบคือ",
        letters=UNSPACED,
    ),
}
